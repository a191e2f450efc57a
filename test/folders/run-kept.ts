/**
 * npm run check:kept -- [--megabytes 300]: a model of that size, with random weights in the shape of Recurrent-Llama-3.2-1B, is
 * downloaded once by Chromium, kept in OPFS, and answers again after the browser was started anew without the network. Prints
 * what each visit took; exit status 1 where the answers differ, or where the weights came more than once.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { shapeOf, writeFamilyCheckpoint } from "../../bench/family-shapes.ts";
import { convert } from "../../cli/convert.ts";
import { visitTwice } from "./chromium.ts";

const { values } = parseArgs({ options: { megabytes: { type: "string", default: "300" } } });
const least = Number(values.megabytes) * 1e6;
const root = await mkdtemp(join(tmpdir(), "fathom-check-kept-"));
try {
  const [source, out] = [join(root, "source"), join(root, "model")];
  await mkdir(source);
  await writeFamilyCheckpoint(source, { ...shapeOf("recurrent-llama-3.2-1b", 4), vocab_size: vocabularyFor(least) });
  await convert(source, out, "q4");
  await rm(source, { recursive: true });
  const { size } = await stat(join(out, "model.safetensors"));
  const { first, offline, modelRequests } = await visitTwice(out, "What is kept?", 4, 4);
  const weights = modelRequests.filter((file) => file === "model.safetensors").length;
  console.log(`${(size / 1e6).toFixed(1)} MB of weights, asked for ${weights} times; ${(first.storedBytes / 1e6).toFixed(1)} MB stored`);
  for (const [name, visit] of Object.entries({ first, offline }))
    console.log(`${name}: ${visit.isOnline ? "online" : "offline"}, ${visit.seconds.toFixed(1)} s, tokens ${visit.tokens.join(" ")}`);
  if (size < least || weights !== 1 || offline.isOnline || first.tokens.join() !== offline.tokens.join()) process.exitCode = 1;
} finally {
  await rm(root, { recursive: true, force: true });
}

/** A vocabulary whose embedding and head, at a byte a weight and more, make up what the blocks lack of a size. */
function vocabularyFor(bytes: number): number {
  const [BLOCK_BYTES, ROW_BYTES] = [182e6, 2 * 2048 * 1.0625];
  return Math.max(4096, Math.ceil((bytes - BLOCK_BYTES) / ROW_BYTES / 128) * 128);
}

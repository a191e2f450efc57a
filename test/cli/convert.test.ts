/**
 * fathom convert: what it writes is loaded again, and nothing is half-written when a source is bad.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readCommandLine } from "../../cli/command-line.ts";
import { convert } from "../../cli/convert.ts";
import { fathomCommand } from "../../cli/fathom.ts";
import { diskFolder } from "../../cli/files.ts";
import { defaultCard, readCard } from "../../engine/model/card.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { TINY_CONFIG, tinyCheckpoint, type FloatDtype } from "../engine/files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-convert-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function source(name: string, weights: Uint8Array, config: object = TINY_CONFIG): Promise<string> {
  const path = join(folder, name);
  await import("node:fs/promises").then((fs) => fs.mkdir(path));
  await writeFile(join(path, "config.json"), JSON.stringify(config));
  await writeFile(join(path, "model.safetensors"), weights);
  return path;
}

async function logits(path: string): Promise<Float32Array> {
  const from = diskFolder(path);
  const config = await readConfig(from);
  const backend = await createReferenceBackend(config, (sink) => readWeights(from, config, sink));
  const sequence = backend.openSequence({
    capacity: 2,
    maxIterations: 2,
    cache: { name: "full", lookup: "full", sharing: { kind: "none" } },
  });
  const rows = backend.prelude([
    { sequence, token: 4 },
    { sequence, token: 9 },
  ]);
  backend.iterate(rows);
  backend.iterate(rows);
  return backend.readout(rows, rows)[1]!;
}

const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((v, i) => v - b[i]!)) / Math.hypot(...b);

describe("converting", () => {
  for (const dtype of ["F32", "F16", "BF16"] as FloatDtype[])
    it(`${dtype} to f32 changes nothing`, async () => {
      const from = await source("in", tinyCheckpoint(TINY_CONFIG, dtype));
      await convert(from, join(folder, "out"), "f32");
      expect(await logits(join(folder, "out"))).toEqual(await logits(from));
    });

  it("to q8 changes little, to q4 a little more, and the card says which", async () => {
    const from = await source("in", tinyCheckpoint());
    const exact = await logits(from);
    await convert(from, join(folder, "q8"), "q8");
    await convert(from, join(folder, "q4"), "q4");
    expect(distance(await logits(join(folder, "q8")), exact)).toBeLessThan(0.05);
    expect(distance(await logits(join(folder, "q4")), exact)).toBeLessThan(0.4);
    const to = diskFolder(join(folder, "q4"));
    expect((await readCard(to, await readConfig(to))).quantisation).toEqual({ format: "q4", embedding: "q8" });
  });

  it("cuts the weights into files of a bounded size, which load as one, each with its digest", async () => {
    const from = await source("in", tinyCheckpoint());
    await convert(from, join(folder, "whole"), "q4");
    const whole = (await stat(join(folder, "whole", "model.safetensors"))).size;
    const shardBytes = Math.ceil(whole / 2);
    const { files } = await convert(from, join(folder, "cut"), "q4", { shardBytes });
    const names = (await readdir(join(folder, "cut"))).filter((name) => name.endsWith(".safetensors")).sort();
    expect(files).toBeGreaterThan(2);
    expect(names).toHaveLength(files);
    expect(names.at(-1)).toBe(`model-0000${files}-of-0000${files}.safetensors`);
    for (const name of names) expect((await stat(join(folder, "cut", name))).size, name).toBeLessThanOrEqual(shardBytes);
    const { files: listed } = JSON.parse(await readFile(join(folder, "cut", "card.json"), "utf8")) as { files: object };
    expect(Object.keys(listed)).toEqual(expect.arrayContaining([...names, "model.safetensors.index.json"]));
    expect(await logits(join(folder, "cut"))).toEqual(await logits(join(folder, "whole")));
  });

  it("refuses shards that the largest tensor does not fit into, and leaves nothing behind", async () => {
    const from = await source("in", tinyCheckpoint());
    await expect(convert(from, join(folder, "out"), "f32", { shardBytes: 300 })).rejects.toMatchObject({
      code: "invalid_request",
      param: "--shard",
      message: expect.stringMatching(/ alone takes \d+ bytes, and a shard may have 300/),
    });
    expect(await readdir(folder)).toEqual(["in"]);
  });

  it("writes the cache and the exit rule of serving where the source has no card, and keeps a card's own", async () => {
    const from = await source("in", tinyCheckpoint());
    await convert(from, join(folder, "out"), "q8");
    const cardOf = async (path: string) => JSON.parse(await readFile(join(path, "card.json"), "utf8")) as Record<string, unknown>;
    const served = { cache: "latest-m1-compress-s1", exit: { criterion: "rest-wake", threshold: 0.1, minIterations: 0 } };
    expect(await cardOf(join(folder, "out"))).toMatchObject(served);
    const own = { ...(await cardOf(join(folder, "out"))), files: undefined, cache: "full", exit: { criterion: "kl", threshold: 0.2 } };
    await writeFile(join(from, "card.json"), JSON.stringify(own));
    await convert(from, join(folder, "own"), "q8");
    expect(await cardOf(join(folder, "own"))).toMatchObject({ cache: "full", exit: { criterion: "kl", threshold: 0.2 } });
  });

  it.skipIf(process.platform === "win32")("makes folders of the mode that the user's umask says", async () => {
    const from = await source("in", tinyCheckpoint());
    for (const [mask, mode] of [
      [0o022, 0o755],
      [0o027, 0o750],
      [0o002, 0o775],
    ] as const) {
      const script =
        'process.umask(+process.argv[1]); import(process.argv[2]).then((m) => m.convert(process.argv[3], process.argv[4], "q8"))';
      const module = fileURLToPath(new URL("../../cli/convert.ts", import.meta.url));
      const out = join(folder, `made-${mask}`, "model");
      execFileSync(process.execPath, ["-e", script, `${mask}`, module, from, out]);
      for (const path of [dirname(out), out]) expect((await stat(path)).mode & 0o777, `${path} under ${mask.toString(8)}`).toBe(mode);
    }
  });

  it("refuses a source without a tokenizer that can be read, before anything is written, where the model is to be asked", async () => {
    const from = await source("in", tinyCheckpoint());
    const refused = (code: string) =>
      expect(convert(from, join(folder, "out"), "q8", { needsTokenizer: true })).rejects.toMatchObject({
        code,
        message: expect.stringContaining("--no-tokenizer"),
      });
    await refused("invalid_tokenizer");
    await writeFile(join(from, "tokenizer.json"), "{}");
    await refused("invalid_tokenizer");
    expect(await readdir(folder)).toEqual(["in"]);
    const { args } = (await readCommandLine(fathomCommand(), ["convert", from, join(folder, "out")])) as unknown as {
      args: { tokenizer: boolean };
    };
    expect(args.tokenizer, "the command asks for one").toBe(true);
  });

  it("says in a dry run that it would refuse a source without a tokenizer, and writes nothing", async () => {
    const from = await source("in", tinyCheckpoint());
    const dryRun = (...more: string[]): string => {
      const command = ["convert", from, join(folder, "out"), "--dry-run", ...more];
      return execFileSync(process.execPath, [fileURLToPath(new URL("../../cli/fathom.mjs", import.meta.url)), ...command], {
        encoding: "utf8",
      });
    };
    expect(dryRun()).toMatch(/Nothing was written\.\nconvert would refuse it: .*no tokenizer\.json.*--no-tokenizer/);
    expect(JSON.parse(dryRun("--json"))).toMatchObject({ refusal: expect.stringContaining("tokenizer.json") });
    expect(dryRun("--no-tokenizer")).toMatch(/Nothing was written\.\n$/);
    expect(dryRun("--group", "128")).toMatch(/convert would refuse it: .* groups of 128 do not divide; choose a group of/);
    expect(await readdir(folder)).toEqual(["in"]);
  });

  it("takes along what says how the model is used", async () => {
    const from = await source("in", tinyCheckpoint());
    const companions = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
    for (const name of companions) await writeFile(join(from, name), `{"from": "${name}"}`);
    await convert(from, join(folder, "out"), "q8");
    for (const name of ["config.json", ...companions])
      expect(await readFile(join(folder, "out", name), "utf8"), name).toBe(await readFile(join(from, name), "utf8"));
  });

  it("takes along the files that the card names, and lists them", async () => {
    const from = await source("in", tinyCheckpoint());
    const embeddings = { file: "head.safetensors", tensor: "text", markers: { end: 1 } };
    const config = await readConfig(diskFolder(from));
    await writeFile(join(from, "card.json"), JSON.stringify({ ...defaultCard("named", config), embeddings }));
    await writeFile(join(from, "head.safetensors"), "head");
    await convert(from, join(folder, "out"), "q8");
    expect(await readFile(join(folder, "out", "head.safetensors"), "utf8")).toBe("head");
    const to = diskFolder(join(folder, "out"));
    expect(Object.keys((await readCard(to, config)).files!)).toContain("head.safetensors");
  });

  it("twice over the same folder keeps other files there", async () => {
    const from = await source("in", tinyCheckpoint());
    const out = join(folder, "out");
    await convert(from, out, "q8");
    await writeFile(join(out, "notes.txt"), "mine");
    await convert(from, out, "f32");
    expect(await readFile(join(out, "notes.txt"), "utf8")).toBe("mine");
    expect(await logits(out)).toEqual(await logits(from));
  });

  const bad: [what: string, weights: () => Uint8Array, config: object, code: string][] = [
    ["a truncated file", () => tinyCheckpoint().subarray(0, -100), TINY_CONFIG, "invalid_checkpoint"],
    ["a config that does not fit", () => tinyCheckpoint(), { ...TINY_CONFIG, vocab_size: 25 }, "invalid_config"],
    ["weights that are not numbers", () => withNaN(tinyCheckpoint()), TINY_CONFIG, "invalid_checkpoint"],
    [
      "columns that no group divides",
      () => tinyCheckpoint({ ...TINY_CONFIG, intermediate_size: 40 }),
      { ...TINY_CONFIG, intermediate_size: 40 },
      "invalid_request",
    ],
  ];
  for (const [what, weights, config, code] of bad)
    it(`refuses ${what} and leaves no file behind`, async () => {
      const from = await source("in", weights(), config);
      await expect(convert(from, join(folder, "out"), "q4")).rejects.toMatchObject({ code });
      expect(await readdir(folder)).toEqual(["in"]);
    });

  it("refuses a model that is quantised already, and a target that is a file", async () => {
    const from = await source("in", tinyCheckpoint());
    await convert(from, join(folder, "q4"), "q4");
    await expect(convert(join(folder, "q4"), join(folder, "again"), "q8")).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("already quantised"),
    });
    await writeFile(join(folder, "file"), "");
    await expect(convert(from, join(folder, "file"), "q4")).rejects.toMatchObject({ code: "invalid_request" });
    expect((await readdir(folder)).toSorted()).toEqual(["file", "in", "q4"]);
  });
});

function withNaN(file: Uint8Array): Uint8Array {
  file.set([0, 0, 192, 127], file.length - 4);
  return file;
}

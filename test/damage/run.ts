/**
 * npm run check:damage -- --runs N --seed S: damaged copies of the shipped model over disk, assets and HTTP. Every one must
 * be refused by name, and what was half-loaded must be let go. Ends with `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { checkRun, refusalOf, shippedFiles } from "./check.ts";
import { openSources } from "./sources.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "1000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) } },
});
const [runs, seed] = [Number(values.runs), Number(values.seed)];
if (!(Number.isInteger(runs) && runs > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:damage -- --runs N --seed S");
  process.exit(2);
}
/** What garbage collection leaves may differ by this much from one time to the next. */
const TOLERANCE_BYTES = 16 << 20;
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function heldBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { external, arrayBuffers, heapUsed } = process.memoryUsage();
  return external + arrayBuffers + heapUsed;
}

const files = shippedFiles();
const sources = await openSources();
for (const source of sources.names) {
  const refusal = await refusalOf(sources.folder(source, files));
  if (refusal !== undefined) throw refusal; // undamaged, it must load
}
const before = await heldBytes();
console.log(`seed ${seed}, ${runs} damaged folders`);
let [passed, failed] = [0, 0];
for (let run = 0; run < runs; run++) {
  const { source, what, refusal } = await checkRun(sources, files, seed, run).catch((error: Error) => ({
    source: "crashed",
    what: error.stack,
    refusal: undefined,
  }));
  if (refusal !== undefined) passed++;
  else {
    failed++;
    console.log(`FAILED run ${run} (--seed ${seed}), ${source}: ${what}`);
  }
  if (run % 50 === 49) collect();
}
const grown = (await heldBytes()) - before;
sources.close();
if (grown > TOLERANCE_BYTES) {
  failed++;
  console.log(`FAILED ${(grown / 1e6).toFixed(1)} MB more are held than before`);
}
console.log(`${passed} passed, ${failed} failed; memory ${(grown / 1e6).toFixed(1)} MB`);
if (failed > 0) process.exitCode = 1;

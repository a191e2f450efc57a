/**
 * npm run fuzz:options -- --runs N --seed S: random objects of options for createApp; see option-runs.ts for what must
 * hold. Ends with `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { fuzzModel, runOptions } from "./option-runs.ts";
import { impatient } from "./impatient.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!(Number.isInteger(runs) && runs > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run fuzz:options -- --runs N --seed S");
  process.exit(2);
}
const model = await fuzzModel();
console.log(`seed ${seed}, ${runs} runs`);
const counts = { refused: 0, served: 0 };
let [passed, failed] = [0, 0];
const restore = impatient();
for (let run = 0; run < runs; run++) {
  const { kind, failures } = await runOptions(model, seed, run);
  counts[kind]++;
  if (failures.length === 0) passed++;
  else {
    failed++;
    console.log(`FAILED run ${run} (--seed ${seed}):\n${failures.map((f) => `  ${f}`).join("\n")}`);
  }
}
restore();
console.log(`${counts.refused} refused when created, ${counts.served} served`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/**
 * npm run check:oom -- --runs N --seed S: random requests in frozen memory; see runs.ts for what must hold. Ends with
 * `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { frozenBackend, runFrozen } from "./runs.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!(Number.isInteger(runs) && runs > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:oom -- --runs N --seed S");
  process.exit(2);
}
const backend = await frozenBackend();
console.log(`seed ${seed}, ${runs} runs on the ${backend.name} backend`);
let [passed, failed, requests, refused, cancelled, shared] = [0, 0, 0, 0, 0, 0];
for (let run = 0; run < runs; run++) {
  const outcome = await runFrozen(backend, seed, run);
  requests += outcome.requests;
  refused += outcome.refused;
  cancelled += outcome.cancelled;
  shared += outcome.shared;
  if (outcome.failures.length === 0) passed++;
  else {
    failed++;
    console.log(`FAILED run ${run} (--seed ${seed}):\n${outcome.failures.map((f) => `  ${f}`).join("\n")}`);
  }
}
console.log(`${requests} requests, ${refused} refused for want of memory, ${cancelled} cancelled, ${shared} behind another's prompt`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

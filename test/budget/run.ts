/**
 * npm run check:budget -- --runs N --seed S [--backend reference|wasm]: random requests with random budgets under
 * random loads and clocks, completions and decisions by turns; see runs.ts and decision-runs.ts for what must hold. Ends with `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { FORMS, MATCH, smallModel } from "../decide/models.ts";
import { backendFactory } from "../golden/backends.ts";
import { tinyBackend } from "../schedule/backend.ts";
import { runDecisions } from "./decision-runs.ts";
import { runBudgets } from "./runs.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    backend: { type: "string", default: "wasm" },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!(Number.isInteger(runs) && runs > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:budget -- --runs N --seed S [--backend reference|wasm]");
  process.exit(2);
}
const backend = await tinyBackend(values.backend);
const factory = backendFactory(values.backend);
const models = await Promise.all([...FORMS.map((form) => smallModel(form, factory)), smallModel("branches", factory, {}, MATCH)]);
console.log(`seed ${seed}, ${runs} runs on the ${backend.name} backend`);
let [passed, failed, requests] = [0, 0, 0];
const limits: Record<string, number> = {};
for (let run = 0; run < runs; run++) {
  const results = [await runBudgets(backend, seed, run), await runDecisions(models, seed, run)];
  for (const result of results) {
    requests += result.requests;
    for (const [limit, count] of Object.entries(result.limits)) limits[limit] = (limits[limit] ?? 0) + count;
  }
  const failures = results.flatMap((result) => result.failures);
  if (failures.length === 0) passed++;
  else {
    failed++;
    console.log(`FAILED run ${run} (--seed ${seed}):\n${failures.map((f) => `  ${f}`).join("\n")}`);
  }
}
console.log(`${requests} requests; limited by ${JSON.stringify(limits)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

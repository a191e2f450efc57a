/**
 * npm run golden -- DIR [--backend NAME] [--records KINDS]: golden records of every case in a folder, on one backend; all
 * of them, or of the kinds named (core,cache,adaptive,stream,diffusion), each told as soon as it is done. Ends with `N passed, M failed`; skipped records are listed by name with the capability they wait for.
 */
import { parseArgs } from "node:util";
import { findCases } from "./case.ts";
import { RECORD_KINDS, runKinds } from "./records.ts";
import { ALL_BACKENDS, backendFactory } from "./backends.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: "string", default: "reference" },
    records: { type: "string", default: RECORD_KINDS.join() },
    verbose: { type: "boolean", default: false },
  },
});
const [folder] = positionals;
const kinds = values.records.split(",");
if (folder === undefined || !ALL_BACKENDS.includes(values.backend) || !kinds.every((kind) => RECORD_KINDS.includes(kind))) {
  console.error(`usage: npm run golden -- DIR [--backend ${ALL_BACKENDS.join("|")}] [--records ${RECORD_KINDS.join()}] [--verbose]`);
  process.exit(2);
}

const cases = await findCases(folder).catch(() => []);
if (cases.length === 0) {
  console.error(`${folder} holds no golden case: a folder with golden.json, golden.safetensors, config.json and model.safetensors.`);
  process.exit(2);
}
const count = { passed: 0, failed: 0, skipped: 0 };
for (const path of cases)
  for await (const { kind, results } of runKinds(path, backendFactory(values.backend), kinds)) {
    for (const { record, outcome } of results) {
      count[outcome.status]++;
      if (outcome.status === "failed") console.log(`FAILED ${path} ${record}: ${outcome.detail}`);
      if (outcome.status === "skipped") console.log(`skipped ${path} ${record}: waits for ${outcome.detail}`);
      if (outcome.status === "passed" && values.verbose) console.log(`passed ${path} ${record}`);
    }
    console.log(`${path} ${kind}: ${results.length} records, ${count.failed} failed so far, ${Math.round(performance.now() / 1000)} s`);
  }
if (count.skipped > 0) console.log(`${count.skipped} skipped`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed > 0 ? 1 : 0;

/**
 * npm run check:decider -- [--backend NAMES] [--format FORMATS] [--iterations N]: the reference model in branch form on every
 * backend (WebGPU on this machine's GPU, or on one made of its CPU) and in every format of weights: how far the scores of
 * its six questions are from the recorded ones, at each recorded number of iterations. Ends with `N passed, M failed`;
 * where the model is not beside the repository, it says so and ends with status 3.
 */
import { parseArgs } from "node:util";
import type { BackendFactory } from "../../engine/port/index.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { ALL_BACKENDS, backendFactory } from "../golden/backends.ts";
import { distances, TOLERANCES } from "./distances.ts";
import { DECIDER, hasDecider, loadDecider, referenceCases } from "./models.ts";

const FORMATS = Object.keys(TOLERANCES) as (keyof typeof TOLERANCES)[];
const { values } = parseArgs({
  options: {
    backend: { type: "string", default: ALL_BACKENDS.join() },
    format: { type: "string", default: FORMATS.join() },
    iterations: { type: "string", default: "16" },
  },
});
const [backends, formats] = [values.backend.split(","), FORMATS.filter((format) => values.format.split(",").includes(format))];
const most = Number(values.iterations);
if (!backends.every((name) => ALL_BACKENDS.includes(name)) || formats.length === 0 || !(Number.isInteger(most) && most > 0)) {
  console.error(`usage: npm run check:decider -- [--backend ${ALL_BACKENDS.join()}] [--format ${FORMATS.join()}] [--iterations 16]`);
  process.exit(2);
}
if (!hasDecider) {
  console.log(`NOT CHECKED: the reference model in branch form is not at ${DECIDER}.`);
  process.exit(3);
}
const cases = referenceCases();
const table: Record<string, string>[] = [];
const count = { passed: 0, failed: 0 };
for (const backend of backends)
  for (const format of formats) {
    // the cache in f32, so that what is off is the weights' alone
    const wasm: BackendFactory = (config, load) => createNodeWasmBackend(config, load, { kv: "f32" });
    const model = await loadDecider(backend === "wasm" ? wasm : backendFactory(backend), format);
    const off = await distances(model, cases, most);
    const isRight = Math.max(...off.values()) <= TOLERANCES[format];
    count[isRight ? "passed" : "failed"]++;
    const byIterations = Array.from(off, ([r, distance]) => [`r = ${r}`, distance.toPrecision(2)]);
    table.push({
      backend,
      weights: format,
      ...Object.fromEntries(byIterations),
      "at most": `${TOLERANCES[format]}`,
      "": isRight ? "passed" : "FAILED",
    });
    console.log(`${backend} ${format}: ${Math.max(...off.values()).toPrecision(2)}, ${Math.round(performance.now() / 1000)} s`);
  }
console.table(table);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed > 0 ? 1 : 0);

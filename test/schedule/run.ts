/**
 * npm run check:schedule -- --mixes N --seed S [--backend reference|wasm]: random mixes of requests, scheduled
 * together, against each request alone. Ends with `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { tinyBackend } from "./backend.ts";
import { runMix } from "./mixes.ts";

const { values } = parseArgs({
  options: {
    mixes: { type: "string", default: "1000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    backend: { type: "string", default: "reference" },
  },
});
const mixes = Number(values.mixes);
const seed = Number(values.seed);
if (!(Number.isInteger(mixes) && mixes > 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:schedule -- --mixes N --seed S [--backend reference|wasm]");
  process.exit(2);
}
const backend = await tinyBackend(values.backend);
console.log(`seed ${seed}, ${mixes} mixes on the ${backend.name} backend`);
let [passed, failed, requests] = [0, 0, 0];
for (let mix = 0; mix < mixes; mix++) {
  const outcome = await runMix(backend, seed, mix);
  requests += outcome.requests.length;
  const wrong = outcome.requests.flatMap((request, i) =>
    outcome.alone[i] === outcome.together[i]
      ? []
      : [`  ${JSON.stringify(request)}\n    alone    ${outcome.alone[i]}\n    together ${outcome.together[i]}`],
  );
  const leaked = backend.memory().owners["kv cache"] ?? 0;
  if (leaked > 0) wrong.push(`  ${leaked} bytes of cache were not given back`);
  if (wrong.length === 0) passed++;
  else {
    failed++;
    console.log(`FAILED mix ${mix} (--seed ${seed}):\n${wrong.join("\n")}`);
  }
}
console.log(`${requests} requests`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

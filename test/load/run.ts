/**
 * npm run check:load -- --mixes N --seed S: random mixes of requests on a simulated host; see judge.ts for what must
 * hold. Ends with `N passed, M failed`.
 */
import { parseArgs } from "node:util";
import { addTallies, judge, type Tally } from "./judge.ts";
import { makeMix, runCompared } from "./mixes.ts";
import { simulatedModel } from "./model.ts";

const { values } = parseArgs({
  options: {
    mixes: { type: "string", default: "1000" },
    first: { type: "string", default: "0" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const [mixes, first, seed] = [Number(values.mixes), Number(values.first), Number(values.seed)];
if (!(Number.isInteger(mixes) && mixes > 0 && Number.isInteger(first) && first >= 0 && Number.isInteger(seed))) {
  console.error("usage: npm run check:load -- --mixes N --seed S [--first N]");
  process.exit(2);
}
const model = await simulatedModel();
console.log(`seed ${seed}, mixes ${first} to ${first + mixes - 1}`);
let [passed, failed] = [0, 0];
let sum: Tally | undefined;
for (let mix = first; mix < first + mixes; mix++) {
  const made = makeMix(seed, mix);
  const { tally, failures } = judge(await runCompared(model, made, seed));
  sum = sum === undefined ? tally : addTallies(sum, tally);
  if (failures.length === 0) passed++;
  else {
    failed++;
    const { callers, clock, speed, limitBytes } = made;
    const what = { callers: callers.length, clock, speed: speed.toFixed(2), limitMiB: limitBytes >> 20 };
    const rest = failures.length > 5 ? `\n  and ${failures.length - 5} more` : "";
    console.log(
      `FAILED mix ${mix} (--seed ${seed}) ${JSON.stringify(what)}:\n${failures
        .slice(0, 5)
        .map((f) => `  ${f}`)
        .join("\n")}${rest}`,
    );
  }
}
console.log(JSON.stringify(sum));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

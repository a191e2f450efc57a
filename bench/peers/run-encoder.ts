/**
 * node bench/peers/run-encoder.ts '{"cases": [...], "runs": 10, "limitMs": 2000}': the times of the encoder on decisions,
 * one pass a question. A process of its own, as onnxruntime's memory is not given back.
 */
import { endWithParent, tellProgress } from "../child.ts";
import { tokensAtOnce, type DecideCase } from "../decide-model.ts";
import { timeRuns, type RunLimits } from "../decide-run.ts";
import { ENCODER_ENGINE, loadEncoder } from "./encoder.ts";

const FORMATS = ["f32", "int8", "int4"] as const;

endWithParent();
const { cases, ...limits } = JSON.parse(process.argv[2]!) as RunLimits & { cases: readonly DecideCase[] };
const rows: { engine: string; sized: DecideCase; ms: number[] }[] = [];
for (const format of FORMATS) {
  const read = await loadEncoder(format);
  for (const sized of cases) {
    const ms = await timeRuns(async () => {
      for (let question = 0; question < sized.questions; question++) await read(tokensAtOnce(sized));
    }, limits);
    rows.push({ engine: `${ENCODER_ENGINE}, ${format}`, sized, ms });
    await tellProgress({ done: rows.length, total: FORMATS.length * cases.length });
  }
}
console.log(JSON.stringify({ rows }));
process.exit(0); // the channel to the parent would keep it

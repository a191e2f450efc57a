/**
 * What every bench command does with its figures: a table for people, or one JSON object with --json; and with --save a
 * line in bench/results/ besides.
 */
import { describeCommit, describeMachine, saveRun } from "../results.ts";

/** Options of every bench. */
export const OUTPUT_ARGS = {
  json: { type: "boolean", default: false, description: "print one JSON object" },
  save: { type: "boolean", default: false, description: "append the run to bench/results/, with its commit and machine" },
} as const;

/**
 * Measures, prints and keeps.
 * @param bench name of the bench, and of its file in bench/results/
 * @param show  prints the result for people
 * @throws {FathomError} unavailable, before anything is measured, where --save has no place
 * @example const { rows } = await runBench("ways", args, () => measureAll(), ({ rows }) => console.table(rows));
 */
export async function runBench<Result extends object>(
  bench: string,
  args: { readonly json: boolean; readonly save: boolean },
  measure: () => Promise<Result>,
  show: (result: Result) => void,
): Promise<Result> {
  const { json, save, ...options } = args;
  const origin = save ? { ...(await describeCommit()), date: new Date().toISOString(), machine: describeMachine() } : undefined;
  const result = await measure();
  if (origin !== undefined) console.error(`kept in ${await saveRun({ bench, ...origin, options, result })}`);
  if (json) console.log(JSON.stringify(result));
  else show(result);
  return result;
}

/**
 * One call: rows of one sequence iterate together until their exit rule is content or their limit is reached, and
 * the last row is read out (paper section 6.1). Knows nothing of tokens before or after this call.
 */
import type { Backend, Row } from "../backend.ts";
import type { ExitRule } from "../exit-rule.ts";
import { createEvaluator, exitInput, isChecked, observe, shouldExit } from "./exit.ts";

export interface Thought {
  /** Core iterations that ran. */
  readonly iterations: number;
  /** The rule said stop before the limit was reached, or at it. */
  readonly exited: boolean;
  /** The criterion's value at every checked iteration. */
  readonly exitValues: readonly number[];
  /** Logits of the last row, [vocabSize]. */
  readonly logits: Float32Array;
}

export interface ThinkOptions {
  /** Most iterations of this call. 0 is legal: the initial state is read out. */
  readonly iterations: number;
  readonly exit: ExitRule;
  readonly isPrefill: boolean;
  /**
   * What to read out when the limit comes between two checks of a rule that reads logits: the final state, or, as the
   * reference does, the last checked one. [default "final"]
   */
  readonly lastReadout?: "final" | "checked";
}

/** Iterates `rows` (positions ascending) and reads out the last of them. */
export async function think(backend: Backend, rows: readonly Row[], options: ThinkOptions): Promise<Thought> {
  const { exit, isPrefill } = options;
  const last = rows.slice(-1);
  const input = exitInput(exit.criterion);
  const evaluator = createEvaluator(exit.criterion, backend.config.vocabSize);
  const exitValues: number[] = [];
  let logits: Float32Array | undefined;
  let logitsAt = 0;
  let iterations = 0;
  let exited = false;
  while (iterations < options.iterations && !exited) {
    await backend.iterate(rows);
    iterations++;
    if (!isChecked(exit, iterations - 1, isPrefill)) continue;
    if (input === "logits") {
      [logits] = await backend.readout(rows, last);
      logitsAt = iterations;
    }
    const value = evaluator.next(input === "change" || input === "states" ? await observe(backend, rows, input) : { logits: logits! });
    exitValues.push(value);
    exited = shouldExit(exit, value);
  }
  const stale = logitsAt !== iterations && options.lastReadout !== "checked";
  if (logits === undefined || stale) [logits] = await backend.readout(rows, last);
  return { iterations, exited, exitValues, logits: logits! };
}

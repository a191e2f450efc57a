/**
 * Exit rules that let rows of a prompt stop one by one. Pure: which rows run next, given how far those that just ran
 * moved and what the others attend to.
 *
 * A row that stands still is not a row that is done: on a chain of reasoning a late position waits for news from the
 * left, and stopping it by itself is confidently wrong. Attention is causal, so two rules are safe.
 *   prefix     A row stops for good when it is still and every row before it has stopped.
 *   rest-wake  A still row rests: it costs nothing, its last keys and values stay readable. While it rests it gathers
 *              pressure, the movement of the rows that it attends to, weighted by its own attention when it last ran
 *              (strongest head). At `wake` it runs again, and the pressure starts at zero. All done when all rest.
 * movement = ||s_t - s_(t-1)|| / ||s_t||. A new token is a single row over a settled prompt, and wakes nothing before
 * it (causality), so for it both rules are latent-diff.
 */
import type { StateChange } from "../port/backend.ts";
import type { ExitRule } from "../exit-rule.ts";

/** The state of a rule during one call; rows are numbered in causal order. */
export interface RestTracker {
  /**
   * Gives the rows that run the next iteration, after one of the rows `ran`; none: the call is done.
   * @param movements of every row of the call; 0 where it did not run
   * @param news      pressure of this iteration's movements on every row of the call
   * @param rule      whose thresholds count now
   */
  next(ran: readonly number[], movements: ArrayLike<number>, news: ArrayLike<number>, rule: ExitRule): number[];
}

export function movement(change: StateChange): number {
  return change.norm === 0 ? 0 : change.distance / change.norm;
}

/** Rows up to the first that still moves have stopped for good. @param count rows of the call */
export function prefixTracker(count: number): RestTracker {
  let stopped = 0;
  return {
    next(ran, movements, _news, { threshold }) {
      for (const row of ran) {
        if (row !== stopped || !(movements[row]! < threshold)) break;
        stopped++;
      }
      return range(stopped, count);
    },
  };
}

/** @param count rows of the call, positions ascending and without gaps; rows before them are settled */
export function restTracker(count: number): RestTracker {
  const pressure = new Float64Array(count);
  return {
    next(ran, movements, news, { threshold, wake = threshold }) {
      for (const row of ran) pressure[row] = 0;
      const active: number[] = [];
      for (let row = 0; row < count; row++) {
        pressure[row]! += news[row]!;
        const still = movements[row]! < threshold;
        if (!still || pressure[row]! >= wake) active.push(row);
      }
      return active;
    },
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

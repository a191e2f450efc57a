/**
 * How deep several tokens may go that are made without coming back between them: each as if all before it had run to
 * their limits. Pure. The first gets what it would get alone; a further one joins only if it would get its full depth,
 * so that what the first ones save is known before depth is taken from anybody.
 */
import type { Reservation } from "./admission.ts";
import { iterationsFor, leastUnits, spendingLimit, whatLacks, type CallTerms, type Spent } from "./call-limits.ts";
import type { LimitCause } from "./grant.ts";
import type { Pace } from "./pace.ts";
import { callUnits } from "./plan.ts";

export interface AheadTerms extends CallTerms {
  readonly pace: Pace;
  readonly reservation: Reservation | undefined;
  /** What the calls after one are to get, in predicted milliseconds. */
  laterMs(index: number): number;
}

export interface AheadCall {
  /** Positions in the cache with this call's row. */
  readonly context: number;
  readonly iterations: number;
  /** What keeps it from going deeper: the cap on iterations, or something that cut below it. */
  readonly cap: number;
  readonly cut: LimitCause | undefined;
}

/** @returns up to `count` calls; a cause in place of the first where nothing is left for it */
export function planCallsAhead(terms: AheadTerms, spent: Spent, index: number, cached: number, count: number): AheadCall[] | LimitCause {
  const calls: AheadCall[] = [];
  let after = spent;
  for (let k = 0; k < count; k++) {
    const context = cached + k + 1;
    const planned = after.units - spent.units;
    const lack =
      whatLacks(terms, after, index + k, context) ?? (terms.pace.misses(planned + leastUnits(terms, context)) ? "latency" : undefined);
    if (lack !== undefined) return k === 0 ? lack : calls;
    const call = deepest(terms, after, index + k, context, planned);
    if (k > 0 && (call.cut !== undefined || call.iterations < terms.grant.iterations)) return calls;
    calls.push(call);
    after = {
      units: after.units + unitsOf(terms, context, call.iterations),
      iterations: after.iterations + call.iterations,
    };
  }
  return calls;
}

/** The most iterations that units, time and the other requests of the isolate leave to a call. */
function deepest(terms: AheadTerms, spent: Spent, index: number, context: number, planned: number): AheadCall {
  const { grant, plan, pace, reservation } = terms;
  const cap = iterationsFor(terms, spent, index);
  const limit = spendingLimit(terms, spent, index, 1, context);
  const afterwards = plan.reserveFrom(index + 1);
  const why = (depth: number): LimitCause | undefined => {
    const units = unitsOf(terms, context, depth);
    if (spent.units + units > limit) return grant.unitsLimit ?? "cost";
    if (pace.misses(planned + units + afterwards)) return "latency";
    return reservation?.allows((planned + units) * grant.msPerUnit, terms.laterMs(index)) === false ? "ceiling" : undefined;
  };
  let iterations = cap;
  let cut: LimitCause | undefined;
  for (let cause = why(iterations); cause !== undefined && iterations > plan.depth; cause = why(iterations)) {
    cut = cause;
    iterations--;
  }
  return { context, iterations, cap, cut };
}

function unitsOf({ cost, grant }: CallTerms, context: number, depth: number): number {
  return callUnits(cost, 1, context, depth, grant.exit.criterion);
}

/**
 * What a request is granted: its merged budget, turned into work units by calibration and prices, with the model's
 * defaults where nobody said anything. Not here: whether the grant suffices (plan.ts), spending it (controller.ts).
 */
import { FathomError } from "../errors.ts";
import type { ExitRule } from "../exit-rule.ts";
import { mergeSources, type Budget, type BudgetSources, type OnExhausted } from "./budget.ts";
import type { Calibration } from "./calibration.ts";
import { msFor, type PriceCard } from "./price.ts";
import { exitReaches, iterationsForQuality, type QualityRow } from "./quality.ts";

/** Share of time and money that is kept back for what prediction misses. */
export const SAFETY_MARGIN = 0.1;

/** What may end or shorten an answer, as a caller is told. */
export type LimitedBy = "latency" | "cost" | "iterations" | "tokens" | "ceiling";

/** Where a limit comes from, one finer than what callers are told. */
export type LimitCause = LimitedBy | "total";

/** What a request may spend once all limits have been weighed. */
export interface Grant {
  /** Work units of the whole request, safety margin taken off; Infinity: not limited. */
  readonly units: number;
  /** What limits `units`. */
  readonly unitsLimit: LimitedBy | undefined;
  /** Milliseconds from arrival, safety margin taken off; Infinity: not limited. */
  readonly latencyMs: number;
  /** Core iterations of a token. */
  readonly iterations: number;
  readonly totalIterations: number;
  readonly tokens: number;
  /** Whether nobody asked for another number of tokens than the card's. */
  readonly tokensAreDefault: boolean;
  /** Iterations below which no budget cuts a token, from 1 to `iterations`; an exit rule that a caller names, or that was measured to be as accurate, may. */
  readonly minIterations: number;
  readonly exit: ExitRule;
  /** Whether nobody asked for another rule than the card's. */
  readonly exitIsDefault: boolean;
  readonly onExhausted: OnExhausted;
  readonly price: PriceCard;
  /** Milliseconds that a unit is predicted to take. */
  readonly msPerUnit: number;
  /** Milliseconds of the request beyond its units: the calibration's, and what its text takes. */
  readonly overheadMs: number;
  /** The merged budget, for the echo. */
  readonly budget: Budget;
  /** The limits that the deployment or the key set, lower than what was asked for. */
  readonly ceilings: ReadonlySet<LimitCause>;
}

/** What the model and the deployment say where a request says nothing. */
export interface GrantDefaults {
  /** Iterations of a token where neither effort, cap, money nor time is given. */
  readonly iterations: number;
  /** The most that any request may ask for; the cap where money or time is to decide. */
  readonly maxIterations: number;
  readonly tokens: number;
  readonly exit: ExitRule;
  /** The card's table of accuracy by depth, which `minQuality` is kept by. [default none: it is refused] */
  readonly quality?: readonly QualityRow[];
}

export interface GrantTerms {
  readonly defaults: GrantDefaults;
  readonly calibration: Calibration;
  readonly price: PriceCard;
  /** The clock moves while code runs. [default false] */
  readonly clockMoves?: boolean;
  /** What the request's text takes, in predicted milliseconds. [default nothing worth counting] */
  readonly textMs?: number;
}

/**
 * Milliseconds that a unit is predicted to take. Careful (p95) where nothing but the prediction keeps a deadline; as
 * usual (p50) where a moving clock sees in time that it was wrong, and time would otherwise be left unused.
 */
export function paceOf({ msPerUnit }: Calibration, clockMoves = false): number {
  return clockMoves ? msPerUnit.p50 : msPerUnit.p95;
}

/**
 * Turns what was said into what may be spent. Nothing is dropped: every field of the merged budget has an effect.
 * @throws {FathomError} invalid_request, budget_infeasible: a `minQuality` that the model or the iterations do not reach
 * @example
 * const grant = grantBudget({ body: { latencyMs: 150 } }, { defaults, calibration, price: ownMachine(0.05) });
 */
export function grantBudget(sources: BudgetSources, { defaults, calibration, price, clockMoves = false, textMs = 0 }: GrantTerms): Grant {
  const { budget, asked, lowered } = mergeSources(sources);
  const { latencyMs = Infinity, costUsd = Infinity, units = Infinity } = budget;
  const pace = paceOf(calibration, clockMoves);
  const overheadMs = calibration.overheadMs + textMs;
  const bounds: readonly [LimitedBy, keyof Budget, number][] = [
    ["latency", "latencyMs", unitsIn(latencyMs, pace, overheadMs)],
    ["cost", "costUsd", unitsIn(Number.isFinite(costUsd) ? msFor(price, costUsd) : Infinity, calibration.msPerUnit.p95, overheadMs)],
    ["cost", "units", units],
  ];
  const [limit, field, most] = bounds.reduce((a, b) => (b[2] < a[2] ? b : a));
  const paysByDepth = [sources.header, sources.body].some(asksForTimeOrMoney);
  const { minQuality } = budget;
  const { quality = [] } = defaults;
  const floor = minQuality === undefined ? 0 : iterationsForQuality(quality, minQuality);
  // what nobody asks for is the default; a ceiling above that raises nothing
  const wished = {
    iterations: Math.min(
      asked.iterations ?? (paysByDepth ? defaults.maxIterations : Math.max(defaults.iterations, floor)),
      defaults.maxIterations,
    ),
    tokens: asked.tokens ?? defaults.tokens,
  };
  const iterations = Math.min(wished.iterations, budget.iterations ?? Infinity);
  const tokens = Math.min(wished.tokens, budget.tokens ?? Infinity);
  const exit = budget.exit ?? defaults.exit;
  const minIterations = budget.minIterations ?? defaults.exit.minIterations ?? 0;
  const endsTooSoon = minQuality !== undefined && budget.exit === undefined && !exitReaches(quality, minQuality);
  if (floor > iterations) throw tooShallow(minQuality!, floor, iterations);
  const ceilings = new Set<LimitCause>();
  if (lowered.has("latencyMs")) ceilings.add("latency");
  if (Number.isFinite(most) && lowered.has(field)) ceilings.add(limit);
  if (iterations < wished.iterations) ceilings.add("iterations");
  if (lowered.has("totalIterations")) ceilings.add("total");
  if (tokens < wished.tokens) ceilings.add("tokens");
  return {
    units: most,
    unitsLimit: Number.isFinite(most) ? limit : undefined,
    latencyMs: latencyMs * (1 - SAFETY_MARGIN),
    iterations,
    totalIterations: budget.totalIterations ?? Infinity,
    tokens,
    tokensAreDefault: asked.tokens === undefined,
    minIterations: Math.max(1, floor, Math.min(minIterations, iterations)),
    exit: { ...exit, minIterations: endsTooSoon ? Math.max(minIterations, floor) : minIterations },
    exitIsDefault: budget.exit === undefined,
    onExhausted: budget.onExhausted ?? "degrade",
    price,
    msPerUnit: pace,
    overheadMs,
    budget,
    ceilings,
  };
}

function tooShallow(minQuality: number, floor: number, iterations: number): FathomError {
  return new FathomError(
    "budget_infeasible",
    `min_quality ${minQuality} takes ${floor} iterations by the model's card, of which ${iterations} are allowed; ask for less, or allow more.`,
    "budget.min_quality",
  );
}

/** Who says what time or money the answer may take wants the depth that it buys; a bound that others set only lowers. */
function asksForTimeOrMoney({ latencyMs, costUsd, units }: Budget = {}): boolean {
  return latencyMs !== undefined || costUsd !== undefined || units !== undefined;
}

/** Units that fit into a time, after the safety margin and the request's own overhead. */
function unitsIn(ms: number, msPerUnit: number, overheadMs: number): number {
  if (!Number.isFinite(ms)) return ms > 0 ? Infinity : 0;
  return Math.max(0, (ms * (1 - SAFETY_MARGIN) - overheadMs) / msPerUnit);
}

/** The inverse: milliseconds that a budget must allow for so many units to fit. */
export function msOf(units: number, msPerUnit: number, overheadMs: number): number {
  return (units * msPerUnit + overheadMs) / (1 - SAFETY_MARGIN);
}

/** The least that a request would have needed; what `error.minimum` tells. */
export interface Minimum {
  readonly units: number;
  readonly latencyMs?: number;
  readonly costUsd?: number;
  readonly totalIterations?: number;
}

/** The request cannot be met; nothing was computed. */
export class InfeasibleError extends FathomError {
  readonly minimum: Minimum;

  constructor(message: string, param: string, minimum: Minimum) {
    super("budget_infeasible", message, param);
    this.minimum = minimum;
  }
}

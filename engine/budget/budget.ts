/**
 * The budget algebra: what may be spent on a request is the field-wise minimum of everything that was said about it.
 * Merging is associative, commutative and idempotent, and nobody can raise what another has said. Pure data; the wire
 * form is worker/budget-headers.ts, what a budget buys is grant.ts.
 */
import { EXIT_CRITERIA, mayExit, type ExitRule } from "../exit-rule.ts";

/** What to do when the budget does not reach: think less, answer shorter, or refuse; from lax to strict. */
export const ON_EXHAUSTED = ["degrade", "truncate", "error"] as const;

/** What happens where a budget does not reach: less depth, fewer tokens, or an error. */
export type OnExhausted = (typeof ON_EXHAUSTED)[number];

/** A field left out sets no limit. */
export interface Budget {
  /** Milliseconds for the whole response, from arrival. */
  readonly latencyMs?: number;
  /** US dollars, by the deployment's price card. */
  readonly costUsd?: number;
  /** Work units of the whole request. */
  readonly units?: number;
  /** Core iterations of a token. */
  readonly iterations?: number;
  /** Core iterations of the request: the prompt's call and each further token's, summed. */
  readonly totalIterations?: number;
  /** Tokens of the completion. */
  readonly tokens?: number;
  /** Iterations that no exit rule may cut. */
  readonly minIterations?: number;
  /** Accuracy by the model card's table, 0..1, below whose depth no call is cut: what does not pay for it is refused. */
  readonly minQuality?: number;
  readonly exit?: Pick<ExitRule, "criterion" | "threshold" | "wake">;
  readonly onExhausted?: OnExhausted;
}

export type BudgetField = keyof Budget;

const byValue = (a: number, b: number): number => a - b;

/** A total order of each field's values: the smaller is the stricter. */
const ORDER: Readonly<Record<BudgetField, (a: any, b: any) => number>> = {
  latencyMs: byValue,
  costUsd: byValue,
  units: byValue,
  iterations: byValue,
  totalIterations: byValue,
  tokens: byValue,
  minIterations: byValue,
  minQuality: byValue,
  exit: compareExits,
  onExhausted: (a: OnExhausted, b: OnExhausted) => ON_EXHAUSTED.indexOf(b) - ON_EXHAUSTED.indexOf(a),
};

const BUDGET_FIELDS = Object.keys(ORDER) as BudgetField[];

/**
 * The stricter of two exit rules, the one that ends sooner. Rules of one criterion compare by threshold; between
 * criteria, which nothing compares, the order of EXIT_CRITERIA decides, so that merging stays a minimum.
 */
function compareExits(a: NonNullable<Budget["exit"]>, b: NonNullable<Budget["exit"]>): number {
  const never = Number(mayExit(b)) - Number(mayExit(a));
  if (never !== 0) return never;
  const criterion = EXIT_CRITERIA.indexOf(a.criterion) - EXIT_CRITERIA.indexOf(b.criterion);
  if (criterion !== 0) return criterion;
  const sooner = a.criterion === "argmax-stability" || a.criterion === "gate" ? a.threshold - b.threshold : b.threshold - a.threshold;
  return sooner !== 0 ? sooner : (b.wake ?? b.threshold) - (a.wake ?? a.threshold);
}

/**
 * The field-wise minimum.
 * @example mergeBudgets({ latencyMs: 200, iterations: 8 }, { latencyMs: 150 }) // { latencyMs: 150, iterations: 8 }
 */
export function mergeBudgets(...budgets: readonly Budget[]): Budget {
  const merged: Record<string, unknown> = {};
  for (const field of BUDGET_FIELDS)
    for (const { [field]: value } of budgets)
      if (value !== undefined && (merged[field] === undefined || ORDER[field](value, merged[field]) < 0)) merged[field] = value;
  return merged;
}

/** Whether `a` allows nothing that `b` forbids. */
export function isWithin(a: Budget, b: Budget): boolean {
  return BUDGET_FIELDS.every((field) => isFieldWithin(a, b, field));
}

function isFieldWithin(a: Budget, b: Budget, field: BudgetField): boolean {
  return b[field] === undefined || (a[field] !== undefined && ORDER[field](a[field], b[field]) <= 0);
}

/** Budgets by who said them. */
export interface BudgetSources {
  /** The deployment's. */
  readonly ceiling?: Budget;
  /** The budget of the caller's key. */
  readonly key?: Budget;
  readonly header?: Budget;
  /** Upper bounds that came along, such as a client's timeout: they lower, and ask for nothing. */
  readonly bounds?: Budget;
  readonly body?: Budget;
  /** reasoning_effort, as iterations. */
  readonly effort?: Budget;
}

export interface MergedBudget {
  readonly budget: Budget;
  /** What the request itself says, in any place. */
  readonly asked: Budget;
  /** Fields in which the deployment or the key allows less than the caller asked for. */
  readonly lowered: ReadonlySet<BudgetField>;
}

/** The tightest of what was said, field by field; what a caller asks for can lower a limit and never raise it. */
export function mergeSources({ ceiling = {}, key = {}, header = {}, bounds = {}, body = {}, effort = {} }: BudgetSources): MergedBudget {
  const asked = mergeBudgets(header, bounds, body, effort);
  const budget = mergeBudgets(ceiling, key, asked);
  return {
    budget,
    asked,
    lowered: new Set(BUDGET_FIELDS.filter((field) => budget[field] !== undefined && !isFieldWithin(asked, budget, field))),
  };
}

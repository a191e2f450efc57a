/**
 * Is it true what an answer says limited it? Judged by running the request again with limits lifted.
 *
 * The limit named must make a difference: with it the request goes no further than it did, without it it does. Mostly so
 * with all its other limits in force; but limits may stand level, or bind only together (money must buy full depth, and
 * full depth meets a cap on iterations), so some of the others may be lifted in both runs.
 */
import { mergeSources, type Budget, type BudgetSources } from "../../engine/budget/budget.ts";
import type { Grant, GrantDefaults, LimitedBy } from "../../engine/budget/grant.ts";
import { DEFAULTS } from "./requests.ts";

/** Row iterations of every call that the request comes to. */
export type Rerun = (sources: BudgetSources, defaults: GrantDefaults) => Promise<number[]>;

/** Limits that can be lifted one by one; the model's own defaults count with the fields that they stand in for. */
const FIELDS = ["latencyMs", "costUsd", "iterations", "totalIterations", "tokens"] as const;
type Field = (typeof FIELDS)[number];

const FIELDS_OF: Readonly<Record<Exclude<LimitedBy, "ceiling">, readonly Field[]>> = {
  latency: ["latencyMs"],
  cost: ["costUsd"],
  iterations: ["iterations", "totalIterations"],
  tokens: ["tokens"],
};

/** Beyond anything that a request here asks for. */
const BOUNDLESS: GrantDefaults = { ...DEFAULTS, iterations: 40, maxIterations: 40, tokens: 12 };

/** Without any limit the request goes further, or exactly as far where it says that nothing limited it. */
export async function checkFree(
  sources: BudgetSources,
  limitedBy: LimitedBy | null,
  mine: readonly number[],
  run: Rerun,
): Promise<string[]> {
  // how many tokens were asked for decides how much is kept for them, and so is no limit to lift but where it is named
  const beside: Field[] = limitedBy === null || limitedBy === "tokens" || limitedBy === "ceiling" ? [] : ["tokens"];
  const free = await run(keep(sources, new Set(beside)), BOUNDLESS);
  if (limitedBy !== null)
    return goesFurther(free, mine) ? [] : [`says ${limitedBy}, but without limits it runs ${free.join()} after ${mine.join()}`];
  return goesFurther(free, mine) || goesFurther(mine, free)
    ? [`says that nothing limited it, but alone it runs ${free.join()} instead of ${mine.join()}`]
    : [];
}

/** The limit named made the difference. For requests that were served alone. */
export async function checkNamed(
  sources: BudgetSources,
  limitedBy: LimitedBy,
  mine: readonly number[],
  { iterations, ceilings }: Grant,
  run: Rerun,
): Promise<string[]> {
  const under = (fields: readonly Field[]): Promise<number[]> =>
    run(keep(sources, new Set(fields)), {
      ...BOUNDLESS,
      // the depth that was granted, also where the limit that raised the default is lifted
      ...(fields.includes("iterations") && { iterations, maxIterations: DEFAULTS.maxIterations }),
      ...(fields.includes("tokens") && { tokens: DEFAULTS.tokens }),
    });
  // of iterations and tokens a ceiling above what is granted without one lowers nothing
  const lowered = new Set(
    [...mergeSources(sources).lowered].filter((field) => (field !== "iterations" && field !== "tokens") || ceilings.has(field)),
  );
  const named = limitedBy === "ceiling" ? FIELDS.filter((f) => lowered.has(f)) : FIELDS_OF[limitedBy].filter((f) => !lowered.has(f));
  for (const field of named)
    for (const others of subsets(FIELDS.filter((f) => f !== field))) {
      const without = await under(others);
      if (!goesFurther(without, mine) && without.length <= mine.length) continue;
      if (!goesFurther(await under([...others, field]), mine)) return [];
    }
  return [`says ${limitedBy}, but among no others of its limits does that make the difference to ${mine.join()}`];
}

/** All of them, the whole set first. */
function subsets(fields: readonly Field[]): Field[][] {
  return Array.from({ length: 2 ** fields.length }, (_, bits) => fields.filter((__, i) => ((bits >> i) & 1) === 0));
}

/** Whether at the first call that differs `a` ran more, or `a` has more calls. */
function goesFurther(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((n, i) => n !== b[i]);
  return at >= 0 && (b[at] === undefined || a[at]! > b[at]);
}

/** The sources with their wishes, and of their limits only some. */
function keep(sources: BudgetSources, limits: ReadonlySet<string>): BudgetSources {
  const stays = (field: string): boolean => limits.has(field) || !(FIELDS as readonly string[]).includes(field);
  const kept = (budget: Budget): Budget => Object.fromEntries(Object.entries(budget).filter(([field]) => stays(field)));
  return Object.fromEntries(Object.entries(sources).map(([source, budget]) => [source, kept(budget)]));
}

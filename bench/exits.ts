/**
 * fathom bench exits: every exit rule at every threshold on a model's tasks: accuracy, row iterations as a share of
 * r = 32, and milliseconds, by form and level. Rules are compared on the same problems in the same run; their order
 * turns from problem to problem, so that drift of the machine falls on all.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { parseExitRule, type ExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { score, type Problem, type Score } from "../cli/eval-score.ts";

export interface ExitRow {
  readonly rule: string;
  readonly rest: number;
  readonly wake: number | undefined;
  readonly form: string;
  readonly level: number | undefined;
  readonly n: number;
  readonly accuracy: number;
  /** Row iterations against all rows at the limit. */
  readonly workShare: number;
  /** Core iterations a row. */
  readonly meanIterations: number;
  /** Wall time an answer on this machine, the fastest of the repetitions. */
  readonly ms: number;
}

/** What is compared where nobody says otherwise. */
export const RULES: readonly string[] = [
  "none",
  "latent-diff:0.1",
  "latent-diff:0.03",
  "latent-diff:0.01",
  "cosine:0.001",
  "second-diff:0.03",
  "argmax-stability:5",
  "kl:0.0005",
  "prefix:0.2",
  "prefix:0.1",
  "prefix:0.03",
  "rest-wake:0.2:0.3",
  "rest-wake:0.1:0.3",
  "rest-wake:0.1:0.1",
  "rest-wake:0.05:0.05",
];

export const LIMIT = 32;

/**
 * Scores every rule on every problem.
 * @param repetitions of each answer; the fastest counts, as one that another process interrupts measures that process
 * @param onProgress  called after each answer
 */
export async function compareExits(
  model: Model,
  problems: readonly Problem[],
  rules: readonly string[],
  repetitions: number,
  onProgress: () => void,
): Promise<ExitRow[]> {
  const shared = sharingOneIteration(model);
  const parsed = rules.map(parseExitRule);
  const scores = rules.map((): Score[] => []);
  for (const [p, problem] of problems.entries())
    for (let i = 0; i < repetitions * rules.length; i++) {
      const r = (i + p) % rules.length;
      const next = await score(shared, problem, LIMIT, parsed[r]!);
      scores[r]![p] = { ...next, ms: Math.min(next.ms, scores[r]![p]?.ms ?? Infinity) };
      onProgress();
    }
  return parsed.flatMap((rule, r) => summarise(rule, problems, scores[r]!));
}

/** The model with the one cache under which rows may stop one by one; the joint rules give the same answers there. */
export function sharingOneIteration(model: Model): Model {
  const { coreLayers: C } = model.config;
  return { ...model, card: { ...model.card, cacheStrategy: parseCacheStrategy(`latest-m${C}-compress-s${C}`) } };
}

function summarise(rule: ExitRule, problems: readonly Problem[], scores: readonly Score[]): ExitRow[] {
  const cells = new Map<string, { problem: Problem; scores: Score[] }>();
  problems.forEach((problem, i) => {
    const key = `${problem.task} ${problem.level}`;
    const cell = cells.get(key) ?? { problem, scores: [] };
    cell.scores.push(scores[i]!);
    cells.set(key, cell);
  });
  return [...cells.values()].map(({ problem, scores: list }): ExitRow => {
    const sum = (of: (s: Score) => number): number => list.reduce((total, s) => total + of(s), 0);
    const meanIterations = sum((s) => s.rowIterations) / sum((s) => s.rows);
    return {
      rule: rule.criterion,
      rest: rule.threshold,
      wake: rule.criterion === "rest-wake" ? (rule.wake ?? rule.threshold) : undefined,
      form: problem.task,
      level: problem.level,
      n: list.length,
      accuracy: sum((s) => (s.right ? 1 : 0)) / list.length,
      workShare: meanIterations / LIMIT,
      meanIterations,
      ms: sum((s) => s.ms) / list.length,
    };
  });
}

export interface ExitSummary {
  readonly rule: string;
  readonly n: number;
  readonly accuracy: number;
  readonly workShare: number;
  /** Wall time as a share of that of the rule `none` in the same run. */
  readonly timeShare: number;
  /** The cell that loses most against `none`, in points. */
  readonly worstLoss: number;
}

export function ruleName({ rule, rest, wake }: Pick<ExitRow, "rule" | "rest" | "wake">): string {
  return rule === "none" ? "none" : wake === undefined ? `${rule}:${rest}` : `${rule}:${rest}:${wake}`;
}

/** One line a rule, over all cells, weighted by their number of problems. */
export function summariseRules(rows: readonly ExitRow[]): ExitSummary[] {
  const byRule = Map.groupBy(rows, ruleName);
  const full = byRule.get("none");
  const mean = (list: readonly ExitRow[], of: (r: ExitRow) => number): number =>
    list.reduce((s, r) => s + of(r) * r.n, 0) / list.reduce((s, r) => s + r.n, 0);
  return [...byRule].map(([rule, list]) => ({
    rule,
    n: list.reduce((s, r) => s + r.n, 0),
    accuracy: mean(list, (r) => r.accuracy),
    workShare: mean(list, (r) => r.workShare),
    timeShare: full === undefined ? NaN : mean(list, (r) => r.ms) / mean(full, (r) => r.ms),
    worstLoss:
      full === undefined
        ? NaN
        : Math.max(...list.map((r) => 100 * (full.find((f) => f.form === r.form && f.level === r.level)!.accuracy - r.accuracy))),
  }));
}

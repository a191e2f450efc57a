/**
 * Answers under a budget, scored: the common ground of the budget benchmarks. Every policy runs through the same
 * controller and is charged by the same cost model, so that fixed depths and exit rules are compared at equal spend.
 */
import type { Budget } from "../engine/budget/budget.ts";
import { assumedCalibration, calibrationFor } from "../engine/budget/calibration.ts";
import { BudgetController } from "../engine/budget/controller.ts";
import { planRequest } from "../engine/budget/plan.ts";
import { costModel } from "../engine/budget/cost.ts";
import { grantBudget, InfeasibleError } from "../engine/budget/grant.ts";
import type { MeasuredExit } from "../engine/budget/exit-choice.ts";
import { WORKERS } from "../engine/budget/price.ts";
import { answer } from "../engine/decode/answer.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import { usableExits } from "../engine/model/card.ts";
import type { Model } from "../engine/port/model.ts";
import type { Problem } from "./eval-score.ts";

export interface BudgetScore {
  readonly right: boolean;
  /** True where the request was refused as infeasible: nothing was spent. */
  readonly refused: boolean;
  readonly units: number;
  readonly rows: number;
  readonly rowIterations: number;
  readonly ms: number;
}

/** Room beyond the answer's own length in tokens: a wrong answer must not run on. */
const SPARE_TOKENS = 2;

/** The measured exit rules that a model's card, cache and backend offer to the controller. */
export function measuredExitsOf({ card, config, backend }: Model): MeasuredExit[] {
  return usableExits(card, config, backend.pressure !== undefined);
}

/** Answers one problem greedily under a budget. @param measuredExits exit rules to choose from [default the card's] */
export async function scoreBudget(
  model: Model,
  problem: Problem,
  budget: Budget,
  measuredExits: readonly MeasuredExit[] = measuredExitsOf(model),
): Promise<BudgetScore> {
  const { card, backend } = model;
  const prompt = model.text.encodeChat([{ role: "user", content: problem.prompt }]);
  const tokens = model.text.encode(` ${problem.answer}`).length + SPARE_TOKENS;
  const calibration = calibrationFor(backend.name, card.calibration);
  const cost = costModel(model.config, (card.calibration ?? assumedCalibration(backend.name)).weights);
  const defaults = { iterations: card.iterations, maxIterations: card.maxIterations, tokens, exit: card.exitRule };
  const grant = grantBudget({ body: budget }, { defaults, calibration, price: WORKERS });
  const start = performance.now();
  let controller: BudgetController;
  try {
    controller = new BudgetController({
      grant,
      plan: planRequest(grant, prompt.length, { cost, calibration }),
      promptRows: prompt.length,
      cost,
      calibration,
      measuredExits,
    });
  } catch (error) {
    if (error instanceof InfeasibleError) return { right: false, refused: true, units: 0, rows: 0, rowIterations: 0, ms: 0 };
    throw error;
  }
  let [text, count, rows] = ["", 0, 0];
  let finish: "stop" | "length" = "length";
  const pieces = answer(model, {
    prompt,
    maxTokens: tokens,
    iterations: grant.iterations,
    exit: NEVER_EXIT,
    policy: controller,
    cache: card.cacheStrategy,
  });
  for await (const piece of pieces) {
    text += piece.text;
    rows += piece.token?.rows ?? 0;
    finish = piece.finish ?? finish;
    count++;
  }
  const { units, rowIterations } = controller.report(finish, count);
  return { right: text.trim() === problem.answer.trim(), refused: false, units, rows, rowIterations, ms: performance.now() - start };
}

/** What one policy did on all problems. */
export interface PolicyPoint {
  readonly policy: string;
  /** Work units that each request was granted; null: not limited. */
  readonly budgetUnits: number | null;
  /** Share answered exactly; a refused request is a wrong answer. */
  readonly accuracy: number;
  /** 95 % interval (Wilson). */
  readonly interval: readonly [number, number];
  readonly n: number;
  readonly refused: number;
  readonly meanUnits: number;
  readonly largestUnits: number;
  /** Core iterations a row. */
  readonly meanIterations: number;
  readonly meanMs: number;
}

export function summarise(policy: string, budgetUnits: number | null, scores: readonly BudgetScore[]): PolicyPoint {
  const sum = (of: (s: BudgetScore) => number): number => scores.reduce((total, s) => total + of(s), 0);
  const n = scores.length;
  const right = sum((s) => Number(s.right));
  return {
    policy,
    budgetUnits,
    accuracy: right / n,
    interval: wilson(right, n),
    n,
    refused: sum((s) => Number(s.refused)),
    meanUnits: sum((s) => s.units) / n,
    largestUnits: Math.max(...scores.map((s) => s.units)),
    meanIterations:
      sum((s) => s.rowIterations) /
      Math.max(
        1,
        sum((s) => s.rows),
      ),
    meanMs: sum((s) => s.ms) / n,
  };
}

/** How answers change from a budget to the next larger one, over all problems and neighbouring budgets. */
export interface BudgetSteps {
  readonly pairs: number;
  /** Pairs in which the smaller budget cost more. */
  readonly dearer: number;
  /** The most that it cost, as a share of the larger's cost. */
  readonly worst: number;
  /** Pairs in which only the larger was right, and in which only the smaller was. */
  readonly gained: number;
  readonly lost: number;
}

/** @param scores by budget ascending, of the same problems */
export function stepsOf(scores: readonly (readonly BudgetScore[])[]): BudgetSteps {
  const pairs = scores.slice(1).flatMap((larger, i) => larger.map((score, n) => [scores[i]![n]!, score] as const));
  const ratios = pairs.filter(([a, b]) => a.units > b.units).map(([a, b]) => a.units / b.units);
  return {
    pairs: pairs.length,
    dearer: ratios.length,
    worst: Math.max(1, ...ratios),
    gained: pairs.filter(([a, b]) => !a.right && b.right).length,
    lost: pairs.filter(([a, b]) => a.right && !b.right).length,
  };
}

/** 95 % confidence interval of a share. */
function wilson(right: number, n: number): [number, number] {
  const z = 1.96;
  const p = right / n;
  const middle = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

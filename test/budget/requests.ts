/**
 * Random requests with random budgets that come by every way there is: deployment, key, header text, body, effort.
 */
import type { Budget, BudgetSources } from "../../engine/budget/budget.ts";
import type { Calibration } from "../../engine/budget/calibration.ts";
import type { CostModel } from "../../engine/budget/cost.ts";
import type { GrantDefaults } from "../../engine/budget/grant.ts";
import { parseBudgetHeader } from "../../worker/budget-headers.ts";
import { callUnits } from "../../engine/budget/plan.ts";
import { usdOf, type PriceCard } from "../../engine/budget/price.ts";
import type { ExitCriterion, ExitRule } from "../../engine/exit-rule.ts";
import { isCausal } from "../../engine/port/prefix.ts";
import { uniform } from "../../engine/random.ts";

/** Made-up speeds of about this machine's, and weights that are not 1. */
export const CALIBRATION: Calibration = {
  msPerUnit: { p50: 20, p95: 24 },
  overheadMs: 0.0004,
  weights: { prelude: 1.3, coda: 1.1, head: 0.9, attention: 5, check: 4, gather: 9, call: 3000 },
  samples: 100,
  measuredAt: "2026-11-24",
  backend: "wasm",
};
/** Prices at which the request fee is of the size of the work. */
export const PRICE: PriceCard = { name: "test", usdPerRequest: 1e-6, usdPerMs: 1e-3 };

export const DEFAULTS: GrantDefaults = { iterations: 6, maxIterations: 10, tokens: 4, exit: { criterion: "latent-diff", threshold: 0.3 } };

/** Thresholds at which rules fire now and then on random weights. */
const RULES: readonly ExitRule[] = [
  { criterion: "latent-diff", threshold: 0.4 },
  { criterion: "kl", threshold: 0.01 },
  { criterion: "argmax-stability", threshold: 2 },
  { criterion: "prefix", threshold: 0.5 },
  { criterion: "rest-wake", threshold: 0.5, wake: 0.5 },
  { criterion: "none", threshold: 0 },
];

/** Rules by which rows behind a beginning compute what they do beside it. */
const CAUSAL = RULES.filter(isCausal);

export interface BudgetRequest {
  readonly prompt: readonly number[];
  readonly sources: BudgetSources;
  /** X-Budget as sent; `sources.header` is what it says. */
  readonly header: string | undefined;
  /** Rounds of the host that pass before it arrives. */
  readonly arrival: number;
  /** Completions of the prompt. */
  readonly choices: number;
}

/** Numbers in [0, 1) of a request's own. */
export type Random = () => number;

export function randomOf(seed: number, run: number, index: number): Random {
  let draws = 0;
  return () => uniform(seed, run * 16 + index, draws++);
}

/** Request `index` of run `run`. */
export function makeRequest(seed: number, run: number, index: number, cost: CostModel, vocabSize: number): BudgetRequest {
  const random = randomOf(seed, run, index);
  const below = (n: number): number => Math.floor(random() * n);
  const own = Array.from({ length: 1 + below(random() < 0.2 ? 20 : 8) }, () => below(vocabSize));
  const beginsAlike = random() < 0.4;
  const prompt = beginsAlike ? [...Array.from({ length: 4 + below(12) }, (_, i) => (7 * i + 3) % vocabSize), ...own] : own;
  const least = (criterion: ExitCriterion): number => callUnits(cost, prompt.length, prompt.length, 1, criterion);
  // some of a run ask alike and without bounds, so that beginnings are taken over
  const isFree = beginsAlike && random() < 0.6;
  const free = { header: undefined, sources: { body: { exit: CAUSAL[run % CAUSAL.length]!, iterations: 6 } } };
  const sources = isFree ? free : makeSources(random, least, RULES);
  return { prompt, ...sources, arrival: random() < 0.5 ? 0 : below(6), choices: random() < 0.25 ? 2 + below(3) : 1 };
}

/**
 * What everybody says about a request's budget: from far too little for it to more than everything.
 * @param leastUnits that a request needs by an exit rule
 */
export function makeSources(
  random: Random,
  leastUnits: (criterion: ExitCriterion) => number,
  rules: readonly ExitRule[],
): Pick<BudgetRequest, "header" | "sources"> {
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const units = (criterion: ExitCriterion): number => leastUnits(criterion) * 2 ** (random() * 6 - 1);
  const budget = (): Budget => {
    const exit = random() < 0.3 ? pick(rules) : undefined;
    const ms = units(exit?.criterion ?? DEFAULTS.exit.criterion) * CALIBRATION.msPerUnit.p95 + CALIBRATION.overheadMs;
    return {
      ...(random() < 0.4 && { latencyMs: decimals(ms / 0.9) }),
      ...(random() < 0.3 && { costUsd: decimals(usdOf(PRICE, ms / 0.9)) }),
      ...(random() < 0.3 && { iterations: 1 + below(10) }),
      ...(random() < 0.2 && { totalIterations: 1 + below(30) }),
      ...(random() < 0.4 && { tokens: 1 + below(6) }),
      ...(random() < 0.15 && { minIterations: below(4) }),
      ...(exit && { exit }),
      ...(random() < 0.4 && { onExhausted: pick(["degrade", "truncate", "error"] as const) }),
    };
  };
  const header = random() < 0.4 ? headerText(budget()) : undefined;
  return {
    header,
    sources: {
      ...(random() < 0.3 && { ceiling: budget() }),
      ...(random() < 0.2 && { key: budget() }),
      ...(header !== undefined && { header: parseBudgetHeader(header) }),
      ...(random() < 0.7 && { body: budget() }),
      ...(random() < 0.3 && { effort: { iterations: 1 + below(10) } }),
    },
  };
}

/** As a header can carry it. */
function decimals(value: number): number {
  return Number(value.toFixed(14));
}

function headerText(budget: Budget): string {
  const { exit, minIterations } = budget;
  const members = [
    budget.latencyMs !== undefined && `latency-ms=${fixed(budget.latencyMs)}`,
    budget.costUsd !== undefined && `cost-usd=${fixed(budget.costUsd)}`,
    budget.iterations !== undefined && `iterations=${budget.iterations}`,
    budget.totalIterations !== undefined && `total-iterations=${budget.totalIterations}`,
    budget.tokens !== undefined && `max-completion-tokens=${budget.tokens}`,
    exit &&
      `exit=${exit.criterion};threshold=${exit.threshold}${exit.wake === undefined ? "" : `;wake=${exit.wake}`}` +
        (minIterations === undefined ? "" : `;min-iterations=${minIterations}`),
    budget.onExhausted && `on-exhausted=${budget.onExhausted}`,
  ];
  return members.filter((m) => typeof m === "string").join(", ");
}

function fixed(value: number): string {
  return value.toFixed(14).replace(/0+$/, "0");
}

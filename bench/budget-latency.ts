/**
 * fathom bench budget, the clock: requests with latency budgets of 20 to 500 ms against this machine's real clock. How
 * many end in time, and how much of the budget those use that had more to think about.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { realClock } from "../engine/budget/clock.ts";
import { calibrationFor } from "../engine/budget/calibration.ts";
import { InfeasibleError } from "../engine/budget/grant.ts";
import { WORKERS } from "../engine/budget/price.ts";
import { SharedBudget } from "../engine/budget/shared-budget.ts";
import { answer } from "../engine/decode/answer.ts";
import { NEVER_EXIT, type ExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { uniform } from "../engine/random.ts";
import { Scheduler } from "../engine/schedule/scheduler.ts";
import type { Problem } from "../cli/eval-score.ts";
import { measuredExitsOf } from "../cli/budget-score.ts";

export interface LatencyRun {
  readonly budgetMs: number;
  readonly ms: number;
  readonly promptTokens: number;
  readonly limitedBy: string | null;
}

export interface LatencySummary {
  readonly runs: number;
  /** Budgets that did not cover prompt and one token; not among the runs. */
  readonly refused: number;
  /** Share of runs that ended within their budget. */
  readonly withinBudget: number;
  /** Mean share of the budget that runs used which latency limited: those that had not converged. */
  readonly utilisation: number;
  readonly limited: number;
  /** The latest, as a share of its budget. */
  readonly worst: number;
}

/** Callers pause: this is about one request, not about a machine at its limit (that is admission's business). */
const PAUSE = 0.1;
const SHORTEST_MS = 20;
const LONGEST_MS = 500;

/**
 * Serves `runs` requests one after the other: questions of the tasks, alone or up to forty in one prompt, with the
 * card's exit rule or none, budgets evenly spread by ratio. @returns the runs, refusals not among them
 */
export async function latencyRuns(
  model: Model,
  problems: readonly Problem[],
  runs: number,
  seed: number,
  onProgress: () => void = () => {},
): Promise<{ runs: LatencyRun[]; refused: number }> {
  const calibration = calibrationFor(model.backend.name, model.card.calibration);
  const sharedBudget = new SharedBudget({
    shape: model.config,
    calibration,
    clock: realClock(() => performance.now()),
    measuredExits: measuredExitsOf(model),
  });
  const scheduler = new Scheduler(model.backend);
  const out: LatencyRun[] = [];
  let refused = 0;
  for (let n = 0; out.length < runs && n < runs * 4; n++) {
    const random = (i: number): number => uniform(seed, n, i);
    const budgetMs = SHORTEST_MS * (LONGEST_MS / SHORTEST_MS) ** random(0);
    const content = question(model, problems, random);
    const exit = random(1) < 0.5 ? NEVER_EXIT : undefined;
    const result = await serve(model, sharedBudget, scheduler, content, budgetMs, 1 + Math.floor(random(2) * 8), exit);
    if (result === undefined) refused++;
    else {
      out.push(result);
      onProgress();
    }
    await sleep(1 + PAUSE * (result?.ms ?? 0));
  }
  return { runs: out, refused };
}

/** A prompt of as many problems in a row as still leave room in the context. */
function question(model: Model, problems: readonly Problem[], random: (i: number) => number): string {
  const count = Math.max(1, Math.round(40 ** random(3)));
  let content = "";
  for (let i = 0; i < count; i++) {
    const next = `${content}${i === 0 ? "" : "\n"}${problems[Math.floor(random(8 + i) * problems.length)]!.prompt}`;
    if (i > 0 && model.text.encodeChat([{ role: "user", content: next }]).length > model.config.contextLength - 16) break;
    content = next;
  }
  return content;
}

async function serve(
  model: Model,
  sharedBudget: SharedBudget,
  scheduler: Scheduler,
  content: string,
  latencyMs: number,
  tokens: number,
  exit: ExitRule | undefined,
): Promise<LatencyRun | undefined> {
  const { card } = model;
  const start = performance.now();
  const timer = sharedBudget.arrive();
  const prompt = model.text.encodeChat([{ role: "user", content }]);
  const grant = sharedBudget.grant(
    { body: { latencyMs, tokens, ...(exit && { exit }) } },
    { iterations: card.iterations, maxIterations: card.maxIterations, tokens: card.maxCompletionTokens, exit: card.exitRule },
    WORKERS,
  );
  try {
    const controller = sharedBudget.open(grant, prompt.length, timer);
    const lane = scheduler.lane({ deadlineMs: start + latencyMs, isOverdue: () => controller.isOverdue });
    let count = 0;
    let finish: "stop" | "length" = "length";
    const options = { prompt, maxTokens: grant.tokens, iterations: grant.iterations, exit: grant.exit, policy: controller };
    for await (const piece of answer({ ...model, backend: lane }, { ...options, cache: card.cacheStrategy })) {
      finish = piece.finish ?? finish;
      count++;
    }
    const { limitedBy } = controller.report(finish, count);
    return { budgetMs: latencyMs, ms: performance.now() - start, promptTokens: prompt.length, limitedBy };
  } catch (error) {
    if (error instanceof InfeasibleError) return undefined;
    throw error;
  }
}

export function summariseLatency({ runs, refused }: { runs: readonly LatencyRun[]; refused: number }): LatencySummary {
  const limited = runs.filter((r) => r.limitedBy === "latency");
  return {
    runs: runs.length,
    refused,
    withinBudget: runs.filter((r) => r.ms <= r.budgetMs).length / runs.length,
    utilisation: limited.reduce((sum, r) => sum + r.ms / r.budgetMs, 0) / Math.max(1, limited.length),
    limited: limited.length,
    worst: Math.max(...runs.map((r) => r.ms / r.budgetMs)),
  };
}

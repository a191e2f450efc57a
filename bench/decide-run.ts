/**
 * One measured case of a decision: the same requests one after the other. Runs on any host that has a clock which moves:
 * Node, and workerd on a developer's machine.
 */
import { decide, prepareDecision, type DecideOptions } from "../engine/decide/decide.ts";
import type { DecisionRequest } from "../engine/decide/question.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { decisionOf, type DecideCase } from "./decide-model.ts";

export interface RunLimits {
  /** Most runs of a case; one more warms up. */
  readonly runs: number;
  /** Time after which a case ends that has had its fewest runs, in milliseconds. */
  readonly limitMs: number;
}

export interface DecideRun {
  /** Milliseconds of each run, in order. */
  readonly ms: readonly number[];
  /** Passes that a decision took, and the memory of the largest. */
  readonly passes: number;
  readonly passBytes: number;
  /** Core iterations of the question that was thought about longest. */
  readonly iterations: number;
}

/** Runs below which a median means nothing. */
const FEWEST_RUNS = 3;

/** A case at exactly its iterations. */
export function decideRun(model: Model, sized: DecideCase, limits: RunLimits): Promise<DecideRun> {
  return timeDecision(model, decisionOf(sized), { iterations: sized.iterations, exit: NEVER_EXIT }, limits);
}

/** Preparing is part of the time: text to tokens to passes. */
export async function timeDecision(model: Model, request: DecisionRequest, options: DecideOptions, limits: RunLimits): Promise<DecideRun> {
  const { passes } = prepareDecision(model, request);
  let iterations = 0;
  const ms = await timeRuns(async () => {
    iterations = (await decide(prepareDecision(model, request), options)).iterations.max;
  }, limits);
  return { ms, passes: passes.length, passBytes: passes[0]?.bytes ?? 0, iterations };
}

/** Milliseconds of each run; the first, which warms up, is not among them. */
export async function timeRuns(run: () => Promise<void>, { runs, limitMs }: RunLimits): Promise<number[]> {
  await run();
  const ms: number[] = [];
  const end = performance.now() + limitMs;
  while (ms.length < runs && (ms.length < FEWEST_RUNS || performance.now() < end)) {
    const start = performance.now();
    await run();
    ms.push(performance.now() - start);
  }
  return ms;
}

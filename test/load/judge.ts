/**
 * What must hold of a mix, judged by the account that the simulation keeps: whoever was let in is answered in time,
 * whoever was not is told at once, memory refuses nobody midway, callers without deadlines are served alike.
 */
import { FathomError } from "../../engine/errors.ts";
import { ApiError } from "../../worker/errors.ts";
import { fairnessProblems } from "./fairness.ts";
import type { LoadOutcome, MixOutcome } from "./mixes.ts";

/** Counts of a mix; sums over mixes are the figures of a run. */
export interface Tally {
  readonly requests: number;
  readonly answered: number;
  readonly refused: number;
  /** Answered or refused with a deadline. */
  readonly dated: number;
  /** Answered after the deadline, by the client's watch. */
  readonly late: number;
  /** Refused after the deadline. */
  readonly refusedLate: number;
  /** Answers that were thought about deeply enough, of those that have any text. */
  readonly right: number;
  readonly judged: number;
}

export interface Judgement {
  readonly tally: Tally;
  readonly failures: readonly string[];
}

export function judge({ outcomes, services, longestCallMs }: MixOutcome): Judgement {
  const failures = outcomes.flatMap((outcome) => problemsOf(outcome).map((what) => `request ${outcome.request.id} ${what}`));
  const stays = outcomes
    .filter(({ request, report }) => request.latencyMs === undefined && report !== undefined)
    // a prompt takes all that it can get; later tokens ask for little
    .map(({ request, startedMs, promptedMs }) => ({ flow: request.key, id: request.id, fromMs: startedMs, toMs: promptedMs! }));
  return { tally: tallyOf(outcomes), failures: [...failures, ...fairnessProblems(stays, services, longestCallMs)] };
}

function problemsOf(outcome: LoadOutcome): string[] {
  const { request, report, error, servedMs } = outcome;
  const problems: string[] = [];
  const { latencyMs } = request;
  const tookMs = tookOf(outcome);
  if (report !== undefined) {
    if (isLate(outcome)) problems.push(`had ${latencyMs} ms and was answered after ${tookMs.toFixed(1)}`);
    if (report.spending.units > report.grant.units)
      problems.push(`was granted ${report.grant.units} units and took ${report.spending.units}`);
    return problems;
  }
  const code = error instanceof FathomError || error instanceof ApiError ? error.code : undefined;
  if (code === undefined) return [`failed with ${String(error)}`];
  if (servedMs > 0) problems.push(`was let in, took ${servedMs.toFixed(1)} ms of work, and was refused then: ${code}`);
  if (isLate(outcome)) problems.push(`had ${latencyMs} ms and was refused after ${tookMs.toFixed(1)}: ${code}`);
  return problems;
}

function tookOf({ sentMs, endedMs }: LoadOutcome): number {
  return endedMs - sentMs;
}

function isLate(outcome: LoadOutcome): boolean {
  return tookOf(outcome) > (outcome.request.latencyMs ?? Infinity);
}

/** Whether an answer was thought about deeply enough; undefined where it has no text. */
export function isRight({ text }: LoadOutcome): boolean | undefined {
  return text === "" ? undefined : !text.includes("W");
}

function tallyOf(outcomes: readonly LoadOutcome[]): Tally {
  const count = (has: (outcome: LoadOutcome) => boolean): number => outcomes.filter(has).length;
  const answered = (outcome: LoadOutcome): boolean => outcome.report !== undefined;
  return {
    requests: outcomes.length,
    answered: count(answered),
    refused: count((o) => !answered(o)),
    dated: count((o) => o.request.latencyMs !== undefined),
    late: count((o) => answered(o) && isLate(o)),
    refusedLate: count((o) => !answered(o) && isLate(o)),
    right: count((o) => isRight(o) === true),
    judged: count((o) => isRight(o) !== undefined),
  };
}

export function addTallies(a: Tally, b: Tally): Tally {
  return Object.fromEntries(Object.entries(a).map(([name, n]) => [name, n + b[name as keyof Tally]])) as unknown as Tally;
}

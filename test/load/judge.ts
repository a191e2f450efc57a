/**
 * What must hold of a mix, judged by the account that the simulation keeps: whoever was let in is answered in time,
 * whoever was not is told at once, memory refuses nobody midway, callers without deadlines are served alike, and an answer
 * that time did not cut short is the one that the request gets alone.
 */
import { FathomError } from "../../engine/errors.ts";
import { ApiError } from "../../worker/errors.ts";
import { fairnessProblems } from "./fairness.ts";
import type { ComparedMix, LoadOutcome } from "./mixes.ts";

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
  /** Answers that are not what the request gets alone, all of them cut short by time. */
  readonly shortened: number;
}

export interface Judgement {
  readonly tally: Tally;
  readonly failures: readonly string[];
}

export function judge({ outcomes, services, longestCallMs, alone }: ComparedMix): Judgement {
  const failures = outcomes.flatMap((outcome) =>
    [...problemsOf(outcome), ...changesOf(outcome, alone.get(outcome.request.id))].map((what) => `request ${outcome.request.id} ${what}`),
  );
  const stays = outcomes
    .filter(({ request, report }) => request.latencyMs === undefined && report !== undefined)
    // a prompt takes all that it can get; later tokens ask for little
    .map(({ request, startedMs, promptedMs }) => ({ flow: request.key, id: request.id, fromMs: startedMs, toMs: promptedMs! }));
  return { tally: tallyOf(outcomes, alone), failures: [...failures, ...fairnessProblems(stays, services, longestCallMs)] };
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

/** What others changed in an answer that says it was not cut short for want of time. */
function changesOf({ report, text }: LoadOutcome, alone: LoadOutcome | undefined): string[] {
  if (report === undefined || alone?.report === undefined) return [];
  const [mine, its] = [report.grant, alone.report.grant].map(({ units, iterations, tokens, latencyMs }) =>
    JSON.stringify({ units, iterations, tokens, latencyMs }),
  );
  if (mine !== its) return [`was granted ${mine}, and alone ${its}`];
  return text === alone.text || isShortened(report) ? [] : [`was answered ${text}, and alone ${alone.text}`];
}

function isShortened({ spending }: NonNullable<LoadOutcome["report"]>): boolean {
  return spending.limitedBy === "latency" || spending.limitedBy === "ceiling";
}

/** By the client's watch. */
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

function tallyOf(outcomes: readonly LoadOutcome[], alone: ComparedMix["alone"]): Tally {
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
    shortened: count((o) => answered(o) && o.text !== alone.get(o.request.id)?.text),
  };
}

export function addTallies(a: Tally, b: Tally): Tally {
  return Object.fromEntries(Object.entries(a).map(([name, n]) => [name, n + b[name as keyof Tally]])) as unknown as Tally;
}

/**
 * A server under load: callers who ask one question after the other, half of them as streams, half with a deadline, now
 * and then with a long prompt. Counts answers that came late, by their own account and by the client's watch, refusals
 * that came after their deadline, and right answers; afterwards asks some of the answered requests again, one at a time, and
 * compares. The client runs beside the server, on the same machine. Single situations are load-cases.ts.
 */
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { uniform } from "../engine/random.ts";
import { modelPath } from "../cli/models.ts";
import { sameAlone, type Comparison } from "./load-alone.ts";
import { ask, longPrompt, type Asked } from "./load-client.ts";
import { SERVERS, type ServerHost } from "./servers.ts";
import { quantile } from "./timing.ts";

/** What is measured. */
export interface LoadOptions {
  /** Callers at once, one row each. */
  readonly callers: readonly number[];
  /** How long each row is measured. */
  readonly seconds: number;
  readonly seed: number;
}

/** One number of callers on one host. */
export interface LoadRow {
  readonly host: ServerHost;
  readonly callers: number;
  readonly requests: number;
  /** Answers to requests with a deadline, and those of them that were more than 5 % past it. */
  readonly dated: number;
  readonly lateByOwnAccount: number;
  readonly lateByClient: number;
  /** Refusals of requests with a deadline, and those of them that came after it. */
  readonly refused: number;
  readonly refusedLate: number;
  /** Failures that are no refusals, by status. */
  readonly failed: Readonly<Record<string, number>>;
  /** Answers to short questions, and those of them that are right: with a deadline, and without one. */
  readonly answered: { readonly dated: number; readonly free: number };
  readonly right: { readonly dated: number; readonly free: number };
  /** Some of the answers beside those that the same requests get alone. */
  readonly alone: Comparison;
  /** Time of an answer by the client's watch, in milliseconds. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** How late the client itself got to what had arrived, ninety-nine of a hundred times at most, in milliseconds. */
  readonly clientDelayMs: number;
}

interface Problem {
  readonly prompt: string;
  readonly answer: string;
}

type Outcome = Asked & { readonly isLong: boolean };

/** How far past its deadline an answer counts as late. */
const TOLERANCE = 1.05;

/** How often the client looks whether it is held up itself; its timers count whole milliseconds. */
const DELAY_RESOLUTION_MS = 2;

/** @param onRow called after each row */
export async function benchLoad(host: ServerHost, options: LoadOptions, onRow: () => void): Promise<LoadRow[]> {
  const problems = await readProblems();
  const served = await SERVERS[host]();
  try {
    await ask(served.url, { ...problems[0]!, isStream: false });
    const rows: LoadRow[] = [];
    for (const callers of options.callers) {
      rows.push(await measure(host, served.url, problems, callers, options));
      onRow();
    }
    return rows;
  } finally {
    await served.end();
  }
}

async function measure(
  host: ServerHost,
  url: URL,
  problems: readonly Problem[],
  callers: number,
  { seconds, seed }: LoadOptions,
): Promise<LoadRow> {
  const outcomes: Outcome[] = [];
  await openConnections(url, callers);
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const endMs = performance.now() + seconds * 1000;
  const call = async (caller: number): Promise<void> => {
    for (let n = 0; performance.now() < endMs; n++) {
      const random = (k: number): number => uniform(seed, caller, 8 * n + k);
      const problem = problems[Math.floor(random(0) * problems.length)]!;
      const latencyMs = random(1) < 0.5 ? Math.round(20 * 25 ** random(2)) : undefined;
      const isLong = random(4) < 0.05;
      const question = isLong ? { prompt: longPrompt(), answer: "" } : problem;
      outcomes.push({ ...(await ask(url, { ...question, latencyMs, isStream: random(3) < 0.5 })), isLong });
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  delay.disable();
  const short = outcomes.filter((o) => o.status === 200 && !o.isLong);
  const clientDelayMs = Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS);
  return { ...summary(host, callers, outcomes, await sameAlone(url, short, seed)), clientDelayMs };
}

/** Compiles the client's code and connects every caller, so that its own first steps are not held against the server. */
async function openConnections(url: URL, callers: number): Promise<void> {
  for (let round = 0; round < 5; round++)
    await Promise.all(Array.from({ length: callers }, () => ask(url, { prompt: "", answer: "", isStream: false, more: { n: 0 } })));
}

async function readProblems(): Promise<Problem[]> {
  const forms = ["arithmetic", "boolean", "liar", "navigation"];
  const texts = await Promise.all(forms.map((form) => readFile(`${modelPath("nano")}/eval/${form}.jsonl`, "utf8")));
  const all = texts.flatMap((text) =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Problem & { level: number }),
  );
  return all.filter(({ level }) => level <= 9);
}

function summary(host: ServerHost, callers: number, outcomes: readonly Outcome[], alone: Comparison): Omit<LoadRow, "clientDelayMs"> {
  const count = (has: (outcome: Outcome) => boolean): number => outcomes.filter(has).length;
  const isDated = ({ latencyMs }: Outcome): boolean => latencyMs !== undefined;
  const isAnswer = ({ status }: Outcome): boolean => status === 200;
  const isRefusal = ({ status }: Outcome): boolean => status === 422;
  const past = (ms: number | undefined, { latencyMs = Infinity }: Outcome, factor = TOLERANCE): boolean => (ms ?? 0) > latencyMs * factor;
  const failed: Record<string, number> = {};
  for (const { status } of outcomes.filter((o) => !isAnswer(o) && !isRefusal(o))) failed[status] = (failed[status] ?? 0) + 1;
  const judged = (dated: boolean): Outcome[] => outcomes.filter((o) => isAnswer(o) && !o.isLong && isDated(o) === dated);
  const right = (of: readonly Outcome[]): number => of.filter((o) => o.isRight).length;
  const times = outcomes.filter(isAnswer).map(({ tookMs }) => tookMs);
  return {
    host,
    callers,
    requests: outcomes.length,
    dated: count((o) => isDated(o) && isAnswer(o)),
    lateByOwnAccount: count((o) => isAnswer(o) && past(o.ownMs, o)),
    lateByClient: count((o) => isAnswer(o) && past(o.tookMs, o)),
    refused: count((o) => isDated(o) && isRefusal(o)),
    refusedLate: count((o) => isRefusal(o) && past(o.tookMs, o, 1)),
    failed,
    answered: { dated: judged(true).length, free: judged(false).length },
    right: { dated: right(judged(true)), free: right(judged(false)) },
    alone,
    p50Ms: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
  };
}

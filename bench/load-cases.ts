/**
 * Single situations under load, on servers as they are deployed: a short question beside callers of long prompts, many
 * equal questions at once, and prompts of a megabyte. Rows of many callers are load.ts.
 */
import type { Served } from "./local-workerd.ts";
import { ask, longPrompt, type Asked, type Question } from "./load-client.ts";
import { BARE_SERVERS, residentMiB, SERVERS, type ServerHost } from "./servers.ts";
import { quantile } from "./timing.ts";

/** What came of the situations on one host. */
export interface LoadCases {
  readonly host: ServerHost;
  /** 25 short questions with 100 ms, one after the other beside 4 callers of long prompts at full depth. */
  readonly besideLong: { readonly asked: number; readonly inTime: number; readonly right: number };
  /** 64 equal questions with 50 ms at once. */
  readonly atOnce: {
    readonly asked: number;
    readonly admitted: number;
    /** Answers past their deadline by their own account. */
    readonly late: number;
    readonly right: number;
    /** How many are answered in 50 ms that come one after the other. */
    readonly couldDo: number;
  };
  /** Short questions without a deadline beside so many callers of long prompts: p50 and largest, by the client's watch. */
  readonly shares: readonly { readonly callers: number; readonly p50Ms: number; readonly mostMs: number }[];
  /** Prompts of a megabyte. */
  readonly large: LargePrompts;
}

export interface LargePrompts {
  /** The highest among those of the answers. */
  readonly status: number;
  /** Refusals by the client's watch, the megabyte's way there included. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** What a refused request of a few bytes takes, by the client's watch. */
  readonly smallP50Ms: number;
  /** Large and small refusals, asked for by turns with those above, of a handler on the same host that refuses everything at once and reads nothing. */
  readonly bareP50Ms: number;
  readonly bareSmallP50Ms: number;
  /** Connections that were closed before the answer had arrived, of those 200, and of the bare handler's. */
  readonly cutOff: number;
  readonly bareCutOff: number;
  /** What the process held before, and after 200 of them. */
  readonly beforeMiB: number;
  readonly afterMiB: number;
}

const SHORT = { prompt: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?", answer: "Yes", isStream: false } as const;

/** A prompt at full depth: what a careless caller sends. */
const LONG: Question = { prompt: longPrompt(), answer: "", isStream: false, more: { budget: { iterations: 32, exit: { threshold: 0 } } } };

export async function benchLoadCases(host: ServerHost): Promise<LoadCases> {
  const served = await SERVERS[host]();
  try {
    for (let i = 0; i < 20; i++) await ask(served.url, SHORT);
    return {
      host,
      large: await largePrompts(host, served),
      besideLong: await besideLong(served.url),
      atOnce: await atOnce(served.url),
      shares: [await share(served.url, 1), await share(served.url, 4), await share(served.url, 16)],
    };
  } finally {
    await served.end();
  }
}

/** Runs `work` while so many callers ask long prompts, back to back. */
async function whileOthersAsk<T>(url: URL, callers: number, work: () => Promise<T>): Promise<T> {
  const state = { isOver: false };
  const others = Array.from({ length: callers }, async () => {
    while (!state.isOver) await ask(url, LONG);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const done = await work();
  state.isOver = true;
  await Promise.all(others);
  return done;
}

async function inTurn(url: URL, question: Question, count: number): Promise<Asked[]> {
  const answers: Asked[] = [];
  for (let i = 0; i < count; i++) answers.push(await ask(url, question));
  return answers;
}

async function besideLong(url: URL): Promise<LoadCases["besideLong"]> {
  const answers = await whileOthersAsk(url, 4, () => inTurn(url, { ...SHORT, latencyMs: 100 }, 25));
  const inTime = answers.filter(({ status, tookMs }) => status === 200 && tookMs <= 100);
  return { asked: answers.length, inTime: inTime.length, right: inTime.filter(({ isRight }) => isRight).length };
}

async function atOnce(url: URL): Promise<LoadCases["atOnce"]> {
  const [asked, latencyMs] = [64, 50];
  const alone = await inTurn(url, { ...SHORT, latencyMs }, 40);
  const eachMs = quantile(
    alone.map(({ tookMs }) => tookMs),
    0.5,
  );
  const answers = await Promise.all(Array.from({ length: asked }, () => ask(url, { ...SHORT, latencyMs })));
  const admitted = answers.filter(({ status }) => status === 200);
  return {
    asked,
    admitted: admitted.length,
    late: admitted.filter(({ ownMs }) => (ownMs ?? 0) > 1.05 * latencyMs).length,
    right: admitted.filter(({ isRight }) => isRight).length,
    couldDo: Math.floor(latencyMs / eachMs),
  };
}

async function share(url: URL, callers: number): Promise<LoadCases["shares"][number]> {
  const answers = await whileOthersAsk(url, callers, () => inTurn(url, SHORT, 8));
  const times = answers.map(({ tookMs }) => tookMs);
  return { callers, p50Ms: quantile(times, 0.5), mostMs: Math.max(...times) };
}

async function largePrompts(host: ServerHost, { url, pid }: Served): Promise<LargePrompts> {
  const large: Question = { ...SHORT, prompt: "word ".repeat(209_600) };
  const small: Question = { ...SHORT, more: { n: 0 } };
  const bare = await BARE_SERVERS[host]();
  try {
    const smallTimes = await inTurns(url, bare.url, small, 100);
    await inTurns(url, bare.url, large, 20);
    const beforeMiB = await residentMiB(pid);
    const times = await inTurns(url, bare.url, large, 200);
    return {
      status: times.status,
      p50Ms: quantile(times.own, 0.5),
      p95Ms: quantile(times.own, 0.95),
      smallP50Ms: quantile(smallTimes.own, 0.5),
      bareP50Ms: quantile(times.bare, 0.5),
      bareSmallP50Ms: quantile(smallTimes.bare, 0.5),
      cutOff: times.cutOff,
      bareCutOff: times.bareCutOff,
      beforeMiB,
      afterMiB: await residentMiB(pid),
    };
  } finally {
    await bare.end();
  }
}

interface Turns {
  status: number;
  cutOff: number;
  bareCutOff: number;
  readonly own: number[];
  readonly bare: number[];
}

/** Asks one server and a bare one by turns, so that whatever else the machine does falls on both. */
async function inTurns(url: URL, bareUrl: URL, question: Question, count: number): Promise<Turns> {
  const turns: Turns = { status: 0, cutOff: 0, bareCutOff: 0, own: [], bare: [] };
  for (let i = 0; i < count; i++) {
    const [own, bare] = [await ask(url, question), await ask(bareUrl, question)];
    if (own.status === 0) turns.cutOff++;
    else turns.own.push(own.tookMs);
    if (bare.status === 0) turns.bareCutOff++;
    else turns.bare.push(bare.tookMs);
    turns.status = Math.max(turns.status, own.status);
  }
  return turns;
}

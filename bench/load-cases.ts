/**
 * Single situations under load, on servers as they are deployed: a short question beside callers of long prompts, many
 * equal questions at once, and prompts of a megabyte. Rows of many callers are load.ts.
 */
import { ask, longPrompt, type Asked, type Question } from "./load-client.ts";
import { residentMiB, SERVERS, type Served, type ServerHost } from "./servers.ts";
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
  readonly status: number;
  /** Refusals by the client's watch, the megabyte's way there included. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** What a refused request of a few bytes takes, by the client's watch. */
  readonly smallP50Ms: number;
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
      large: await largePrompts(served),
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

async function largePrompts({ url, pid }: Served): Promise<LargePrompts> {
  const large: Question = { ...SHORT, prompt: "word ".repeat(209_600) };
  const small: Question = { ...SHORT, more: { n: 0 } };
  const smallTimes = (await inTurn(url, small, 100)).map(({ tookMs }) => tookMs);
  await inTurn(url, large, 20);
  const beforeMiB = await residentMiB(pid);
  const refusals = await inTurn(url, large, 200);
  const times = refusals.map(({ tookMs }) => tookMs);
  return {
    status: refusals[0]!.status,
    p50Ms: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    smallP50Ms: quantile(smallTimes, 0.5),
    beforeMiB,
    afterMiB: await residentMiB(pid),
  };
}

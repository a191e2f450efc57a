/**
 * Resident memory of a server under bursts of requests: before, at each burst's peak, and after it has idled. The same
 * bursts for local workerd with the shipped Worker and for `fathom serve`. Linux alone: figures are /proc's.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Served } from "./local-workerd.ts";
import { residentMiB, SERVERS, type ServerHost } from "./servers.ts";

export type MemoryHost = ServerHost;

export interface MemoryOptions {
  /** Requests of a burst. */
  readonly requests: number;
  readonly atOnce: number;
  readonly bursts: number;
  /** Idle time before the last reading. */
  readonly idleMs: number;
  /** Most MiB that V8's old generation may hold, on Node. What survives a burst there is no leak. [default V8's own] */
  readonly heapMiB?: number | undefined;
}

export interface MemoryRow {
  readonly host: MemoryHost;
  /** Resident set, in MiB: with the model loaded, at the peak of each burst, after idling. */
  readonly beforeMiB: number;
  readonly peakMiB: readonly number[];
  readonly idleMiB: number;
  /** The Wasm core's ledger, in bytes: held before and after, and most at once. */
  readonly usedBytes: readonly [before: number, after: number];
  readonly mostBytes: number;
  /** Median time of an answer, in milliseconds. */
  readonly medianMs: number;
  /** How many answers had which status. */
  readonly statuses: Readonly<Record<string, number>>;
}

const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
/** Bodies near the default limit of 64 KiB, and texts beyond that of 32,768 characters. */
const LONG = 60_000;
const user = (content: string): object[] => [{ role: "user", content }];

/** Kinds of requests, in turn: answers, streams, a large body around a question, texts far too long in several scripts. */
const BODIES: readonly object[] = [
  { messages: user(QUESTION) },
  { messages: user(QUESTION), stream: true },
  { messages: user(QUESTION), metadata: { padding: "y".repeat(LONG) } },
  { messages: user(QUESTION) },
  { messages: user(QUESTION), stream: true, max_tokens: 16, temperature: 1 },
  { messages: user(`${QUESTION}${"lies ".repeat(LONG / 5)}`) },
  { messages: user(`${QUESTION}${" ".repeat(LONG / 2)}`) },
  { messages: user(`${QUESTION}${"😀".repeat(LONG / 4)}`) },
];

/** @throws {FathomError} unavailable where the server ends or the system has no /proc */
export async function benchMemory(host: MemoryHost, options: MemoryOptions, onAnswer: () => void): Promise<MemoryRow> {
  const served = await SERVERS[host](options);
  try {
    return await measure(host, served, options, onAnswer);
  } finally {
    await served.end();
  }
}

async function measure(host: MemoryHost, { url, pid }: Served, options: MemoryOptions, onAnswer: () => void): Promise<MemoryRow> {
  const times: number[] = [];
  const statuses: Record<string, number> = {};
  const ask = async (turn: number): Promise<void> => {
    const body = JSON.stringify({ model: "nano", ...BODIES[turn % BODIES.length] });
    const startMs = performance.now();
    const response = await fetch(new URL("/v1/chat/completions", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    await response.arrayBuffer();
    times.push(performance.now() - startMs);
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  };
  await ask(0);
  const before = { rss: await residentMiB(pid), memory: await ledger(url) };
  const peakMiB: number[] = [];
  for (let burst = 0; burst < options.bursts; burst++) {
    const watch = watchPeak(pid);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let turn = next++; turn < options.requests; turn = next++) {
        await ask(turn);
        onAnswer();
      }
    };
    await Promise.all(Array.from({ length: options.atOnce }, worker));
    peakMiB.push(await watch());
  }
  await sleep(options.idleMs);
  const after = await ledger(url);
  return {
    host,
    beforeMiB: before.rss,
    peakMiB,
    idleMiB: await residentMiB(pid),
    usedBytes: [before.memory.used_bytes, after.used_bytes],
    mostBytes: after.peak_bytes,
    medianMs: times.toSorted((a, b) => a - b)[times.length >> 1]!,
    statuses,
  };
}

/** Reads a process's resident set until the function that it gives is called: the largest reading. */
function watchPeak(pid: number): () => Promise<number> {
  const stop = new AbortController();
  const peak = (async () => {
    let most = 0;
    while (!stop.signal.aborted) {
      most = Math.max(most, await residentMiB(pid));
      await sleep(50);
    }
    return Math.max(most, await residentMiB(pid));
  })();
  return () => {
    stop.abort();
    return peak;
  };
}

async function ledger(url: URL): Promise<{ used_bytes: number; peak_bytes: number }> {
  const health = (await (await fetch(new URL("/health", url))).json()) as {
    models: { memory: { used_bytes: number; peak_bytes: number } }[];
  };
  return health.models[0]!.memory;
}

/**
 * Resident memory of a server under bursts of requests: before, at each burst's peak, and after it has idled. The same
 * bursts for local workerd with the shipped Worker and for `fathom serve`. Linux alone: figures are /proc's.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FathomError } from "../engine/errors.ts";

export type MemoryHost = "workerd" | "node";

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
/** Bodies near the limit of 1 MiB. */
const LONG = 900_000;
const user = (content: string): object[] => [{ role: "user", content }];

/** Kinds of requests, in turn: answers, streams, a large body around a question, texts far too long in several scripts. */
const BODIES: readonly object[] = [
  { messages: user(QUESTION) },
  { messages: user(QUESTION), stream: true },
  { messages: user(QUESTION), metadata: { padding: "y".repeat(LONG) } },
  { messages: user(QUESTION) },
  { messages: user(QUESTION), stream: true, max_tokens: 16, temperature: 1 },
  { messages: user(`${QUESTION}${"lies ".repeat(LONG / 5)}`) },
  { messages: user(`${QUESTION}${" ".repeat(LONG)}`) },
  { messages: user(`${QUESTION}${"😀".repeat(LONG / 4)}`) },
];

interface Served {
  readonly url: URL;
  readonly pid: number;
  end(): Promise<void>;
}

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

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch((cause: unknown) => {
    const message = `The memory of process ${pid} cannot be read: it has ended, or this system has no /proc; run on Linux.`;
    throw new FathomError("unavailable", message, undefined, { cause });
  });
  return Math.round(Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) / 1024);
}

async function ledger(url: URL): Promise<{ used_bytes: number; peak_bytes: number }> {
  const health = (await (await fetch(new URL("/health", url))).json()) as {
    models: { memory: { used_bytes: number; peak_bytes: number } }[];
  };
  return health.models[0]!.memory;
}

const SERVERS: Readonly<Record<MemoryHost, (options: MemoryOptions) => Promise<Served>>> = {
  async workerd() {
    process.env["WRANGLER_SEND_METRICS"] = "false";
    process.env["WRANGLER_SEND_ERROR_REPORTS"] = "false";
    process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";
    const { unstable_startWorker: startWorker } = await import("wrangler");
    const config = fileURLToPath(new URL("../wrangler.toml", import.meta.url));
    const worker = await startWorker({
      config,
      bindings: { OPEN_TO_ALL: { type: "plain_text", value: "true" } },
      dev: { logLevel: "error", server: { port: 0 }, inspector: false },
    });
    const url = await worker.url;
    await fetch(new URL("/v1/models", url)); // which loads the model
    return { url, pid: await servingWorkerd(), end: () => worker.dispose() };
  },
  async node({ heapMiB }) {
    const program = fileURLToPath(new URL("../cli/fathom.mjs", import.meta.url));
    const limit = heapMiB === undefined ? [] : [`--max-old-space-size=${heapMiB}`];
    const child = spawn(process.execPath, [...limit, program, "serve", "--backend", "wasm", "--port", "0"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const end = (): void => void child.kill();
    process.once("exit", end);
    const url = await addressOf(child);
    return {
      url,
      pid: child.pid!,
      async end() {
        process.off("exit", end);
        const gone = once(child, "exit");
        child.kill();
        await gone;
      },
    };
  },
};

async function addressOf(child: ChildProcess): Promise<URL> {
  for await (const line of createInterface(child.stdout!)) {
    const address = /http:\/\/\S+/.exec(line)?.[0];
    if (address !== undefined) return new URL(address);
  }
  throw new FathomError("unavailable", "fathom serve ended before it said where it listens.");
}

/** The largest of the workerd processes below this one: beside the Worker, wrangler runs a proxy in one. */
async function servingWorkerd(): Promise<number> {
  const parents = new Map<number, number>();
  const names = new Map<number, string>();
  for (const entry of await readdir("/proc")) {
    const stat = /^\d+$/.test(entry) ? await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "") : "";
    const [, name, parent] = /^\d+ \((.*)\) \S+ (\d+)/.exec(stat) ?? [];
    if (name === undefined) continue;
    parents.set(Number(entry), Number(parent));
    names.set(Number(entry), name);
  }
  const isBelow = (pid: number | undefined): boolean => pid === process.pid || (pid !== undefined && isBelow(parents.get(pid)));
  const found = [...names].filter(([pid, name]) => name === "workerd" && isBelow(pid)).map(([pid]) => pid);
  const sizes = await Promise.all(found.map(async (pid) => ({ pid, size: await residentMiB(pid) })));
  const [largest] = sizes.toSorted((a, b) => b.size - a.size);
  if (largest === undefined) throw new FathomError("unavailable", "No workerd process was found below this one.");
  return largest.pid;
}

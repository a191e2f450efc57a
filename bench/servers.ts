/**
 * Servers as they are deployed, started for a bench: local workerd with the shipped Worker, and `fathom serve`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { unstable_startWorker } from "wrangler";
import { FathomError } from "../engine/errors.ts";

type StartDevWorkerInput = Parameters<typeof unstable_startWorker>[0];

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Where the API is served. */
export type ServerHost = "workerd" | "node";

/** How a server is started. */
export interface ServerOptions {
  /** Most MiB that V8's old generation may hold, on Node. [default V8's own] */
  readonly heapMiB?: number | undefined;
}

/** A server that answers. */
export interface Served {
  readonly url: URL;
  readonly pid: number;
  end(): Promise<void>;
}

/** Starts a server, and resolves when it answers. */
export const SERVERS: Readonly<Record<ServerHost, (options?: ServerOptions) => Promise<Served>>> = {
  async workerd() {
    const { url, end } = await localWorker({
      config: `${ROOT}wrangler.toml`,
      build: { custom: { workingDirectory: ROOT } },
      bindings: { OPEN_TO_ALL: { type: "plain_text", value: "true" } },
    });
    await fetch(new URL("/v1/models", url)); // which loads the model
    return { url, pid: await servingWorkerd(), end };
  },
  node({ heapMiB } = {}) {
    const limit = heapMiB === undefined ? [] : [`--max-old-space-size=${heapMiB}`];
    return nodeServer([...limit, `${ROOT}cli/fathom.mjs`, "serve", "--backend", "wasm", "--port", "0"]);
  },
};

/** Starts a server on the same host that refuses everything at once: the least that a refusal takes there. */
export const BARE_SERVERS: Readonly<Record<ServerHost, () => Promise<Pick<Served, "url" | "end">>>> = {
  workerd: () => localWorker({ config: `${ROOT}bench/workerd/bare.toml` }),
  node: () => nodeServer([`${ROOT}bench/bare-server.ts`]),
};

async function localWorker(options: Omit<StartDevWorkerInput, "dev">): Promise<Pick<Served, "url" | "end">> {
  process.env["WRANGLER_SEND_METRICS"] = "false";
  process.env["WRANGLER_SEND_ERROR_REPORTS"] = "false";
  process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";
  const { unstable_startWorker: startWorker } = await import("wrangler");
  const worker = await startWorker({ ...options, dev: { logLevel: "error", server: { port: 0 }, inspector: false } });
  return { url: await worker.url, end: () => worker.dispose() };
}

/** @param args of Node's; the program says on standard output where it listens */
async function nodeServer(args: readonly string[]): Promise<Served> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
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
}

async function addressOf(child: ChildProcess): Promise<URL> {
  for await (const line of createInterface(child.stdout!)) {
    const address = /http:\/\/\S+/.exec(line)?.[0];
    if (address !== undefined) return new URL(address);
  }
  throw new FathomError("unavailable", "The server ended before it said where it listens.");
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

/** Resident set of a process. @throws {FathomError} unavailable where it cannot be read */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch((cause: unknown) => {
    const message = `The memory of process ${pid} cannot be read: it has ended, or this system has no /proc; run on Linux.`;
    throw new FathomError("unavailable", message, undefined, { cause });
  });
  return Math.round(Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) / 1024);
}

/**
 * Servers as they are deployed, started for a bench: local workerd with the shipped Worker, and `fathom serve`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { FathomError } from "../engine/errors.ts";
import { serveBare, serveWorker, type Served } from "./local-workerd.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Where the API is served. */
export type ServerHost = "workerd" | "node";

/** How a server is started. */
export interface ServerOptions {
  /** Most MiB that V8's old generation may hold, on Node. [default V8's own] */
  readonly heapMiB?: number | undefined;
}

/** Starts a server, and resolves when it answers. */
export const SERVERS: Readonly<Record<ServerHost, (options?: ServerOptions) => Promise<Served>>> = {
  async workerd() {
    const served = await serveWorker("deploy");
    await fetch(new URL("/v1/models", served.url)); // which loads the model
    return served;
  },
  node({ heapMiB } = {}) {
    const limit = heapMiB === undefined ? [] : [`--max-old-space-size=${heapMiB}`];
    return nodeServer([...limit, `${ROOT}cli/fathom.mjs`, "serve", "--backend", "wasm", "--port", "0"]);
  },
};

/** Starts a server on the same host that refuses everything at once: the least that a refusal takes there. */
export const BARE_SERVERS: Readonly<Record<ServerHost, () => Promise<Served>>> = {
  workerd: serveBare,
  node: () => nodeServer([`${ROOT}bench/bare-server.ts`]),
};

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

/** Resident set of a process. @throws {FathomError} unavailable where it cannot be read */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch((cause: unknown) => {
    const message = `The memory of process ${pid} cannot be read: it has ended, or this system has no /proc; run on Linux.`;
    throw new FathomError("unavailable", message, undefined, { cause });
  });
  return Math.round(Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) / 1024);
}

/**
 * What the app needs of the host it runs on, under the names that Workers, Node, Deno and Bun give it.
 */
import type { Context } from "hono";
import type { Clock } from "../engine/budget/clock.ts";

/** What a load or an answer needs of its host: an ExecutionContext is one. */
export interface Host {
  /** Lets the host finish this promise even if the caller of the request has gone. */
  waitUntil(promise: Promise<unknown>): void;
  /** Where the request was sent, such as "https://shop.example"; undefined where it came by a service binding. */
  readonly origin?: string | undefined;
}

/** A host that keeps nothing alive: promises run to their end by themselves. */
export const NO_HOST: Host = { waitUntil: () => undefined };

/** The host of a request; where there is no execution context, promises run to their end by themselves. */
export function hostOf(c: Context<any>): Host {
  return {
    origin: new URL(c.req.url).origin,
    waitUntil(promise) {
      const kept = promise.catch(() => undefined); // whoever awaits the promise itself sees the failure
      try {
        c.executionCtx.waitUntil(kept);
      } catch {
        // hono throws where the host has no execution context
      }
    },
  };
}

/** Stands still on Workers while code runs (locally it moves, but that is not to be relied on), and moves elsewhere. */
export const hostClock: Clock = {
  now: () => performance.now(),
  moves: (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent !== "Cloudflare-Workers",
};

interface Timers {
  readonly scheduler?: { wait(ms: number): Promise<void> };
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly setTimeout: (callback: () => void, ms: number) => unknown;
}

/**
 * Gives way to other requests and lets written bytes leave. On Workers only a timer does that, which took 1.2 ms
 * in local workerd of October 2026 (its epoll waits by whole milliseconds); on Node setImmediate takes less than a timer.
 */
export function breathe(): Promise<void> {
  const { scheduler, setImmediate, setTimeout } = globalThis as unknown as Timers;
  if (scheduler !== undefined) return scheduler.wait(0);
  return new Promise((resolve) => (setImmediate === undefined ? setTimeout(resolve, 0) : setImmediate(resolve)));
}

/** How long a request waits for another one that computes for both before it sees whether that one still lives, in milliseconds. */
const PATIENCE_MS = 20;

/** Timers die with their request on Workers, so that the others wait by theirs; elsewhere no request's work dies. */
export const patience: (() => Promise<void>) | undefined =
  hostClock.moves === true
    ? undefined
    : () => (globalThis as unknown as { scheduler: NonNullable<Timers["scheduler"]> }).scheduler.wait(PATIENCE_MS);

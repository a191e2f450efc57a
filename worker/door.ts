/**
 * Requests at the door: each is counted from when its handler begins until it has been let in or refused, so that whoever
 * is judged meanwhile leaves the time that reading the others takes. Not here: how much that is (engine/budget/inflow.ts).
 */
import type { MiddlewareHandler } from "hono";
import type { Service } from "./service.ts";
import { inflowOf, turnToRead } from "./schedulers.ts";

/** A request that has come. */
export interface Entry {
  /** The clock's reading when it came, at the latest. */
  readonly arrivedMs: number;
  /** Tells that the request has been let in or refused. */
  judged(): void;
}

declare module "hono" {
  interface ContextVariableMap {
    fathomEntry: Entry;
  }
}

/**
 * Counts a request, and waits for its turn to be read. Where the clock moves, all those that the host has brought are
 * counted before any is read.
 */
export async function enter({ clock, breathe }: Pick<Service<never>, "clock" | "breathe">): Promise<Entry> {
  const inflow = inflowOf(clock);
  const newcomer = inflow.came();
  if (clock.moves === true) await breathe();
  await turnToRead(clock, breathe);
  return { arrivedMs: newcomer.cameMs, judged: () => inflow.judged(newcomer) };
}

/** Counts requests until they are judged, those that nobody gets to judge included. */
export function door<Bindings extends object>(service: Service<Bindings>): MiddlewareHandler<{ Bindings: Bindings }> {
  return async (c, next) => {
    const entry = await enter(service as Pick<Service<never>, "clock" | "breathe">);
    c.set("fathomEntry", entry);
    try {
      await next();
    } finally {
      entry.judged();
    }
  };
}

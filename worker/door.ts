/**
 * Requests at the door: each is counted from when its handler begins until it has been let in or refused, and waits for its
 * turn to be read. Not here: whose turn it is, and how much reading takes (engine/budget/inflow.ts).
 */
import type { MiddlewareHandler } from "hono";
import type { Clock } from "../engine/budget/clock.ts";
import type { ReadingTurn } from "../engine/budget/inflow.ts";
import { inflowOf } from "./schedulers.ts";

/** The host, as far as the door looks at it. */
interface Thread {
  readonly clock: Clock;
  readonly breathe: () => Promise<void>;
}

/** A request that has come. */
export interface Entry {
  /** The clock's reading when it came, at the latest. */
  readonly arrivedMs: number;
  /** Tells that the request has a place until its deadline, and waits until its text may be read. */
  entered(deadlineMs: number): Promise<void>;
  /** Tells that the request has been let in or refused. */
  judged(): void;
}

declare module "hono" {
  interface ContextVariableMap {
    fathomEntry: Entry;
  }
}

/** Turns of the host that a request waits for before it is read all the same: whoever computes may have died. */
const MOST_TURNS = 32;

/**
 * Counts a request, and waits for its turn to be read. Where the clock moves, all those that the host has brought are
 * counted before any is read.
 */
export async function enter({ clock, breathe }: Thread): Promise<Entry> {
  const inflow = inflowOf(clock);
  const newcomer = inflow.came();
  const wait = async (turn: ReadingTurn): Promise<void> => {
    for (let turns = 0; turns < MOST_TURNS && !turn.hasCome(); turns++) await breathe();
    turn.end();
  };
  if (clock.moves === true) await breathe();
  await wait(inflow.headTurn());
  return {
    arrivedMs: newcomer.cameMs,
    entered(deadlineMs) {
      inflow.entered(newcomer);
      return wait(inflow.textTurn(deadlineMs));
    },
    judged: () => inflow.judged(newcomer),
  };
}

/** Counts requests until they are judged, those that nobody gets to judge included. */
export function door(thread: Thread): MiddlewareHandler {
  return async (c, next) => {
    const entry = await enter(thread);
    c.set("fathomEntry", entry);
    try {
      await next();
    } finally {
      entry.judged();
    }
  };
}

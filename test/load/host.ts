/**
 * A host with a simulated clock: one thread, an event loop that gives way as Node's and workerd's do, work that takes as
 * long as it is said to take. Nothing here waits on real time.
 */
import type { Clock } from "../../engine/budget/clock.ts";

/** What resuming a request after it gave way takes, in milliseconds. */
const WAKE_MS = 0.002;

interface Event {
  readonly atMs: number;
  readonly run: () => void;
}

export class SimulatedHost {
  nowMs = 0;
  /** The clock's reading at the last event from outside: all that a Worker sees of time. */
  #lastEventMs = 0;
  readonly #events: Event[] = [];
  #sleepers: (() => void)[] = [];
  /** A clock that moves while code runs, as Node's. */
  readonly movingClock: Clock = { now: () => this.nowMs, moves: true };
  /** A clock that moves with events from outside alone, as on Workers. */
  readonly standingClock: Clock = { now: () => this.#lastEventMs, moves: false };

  /** Gives way: resumed once everything that has happened by now has been begun. */
  readonly breathe = (): Promise<void> => new Promise((resolve) => this.#sleepers.push(resolve));

  /** Spends time of the one thread. */
  work(ms: number): void {
    this.nowMs += ms;
  }

  /** Has something happen from outside; it is noticed once the thread is free. */
  at(atMs: number, run: () => void): void {
    const index = this.#events.findIndex((event) => event.atMs > atMs);
    this.#events.splice(index < 0 ? this.#events.length : index, 0, { atMs, run });
  }

  /** Something that comes from outside after all that has come by now. */
  event(): Promise<void> {
    return new Promise((resolve) => this.at(this.nowMs, resolve));
  }

  /** Runs until nothing is left to happen. @throws {Error} where `isDone` says that something never ended */
  async run(isDone: () => boolean): Promise<void> {
    for (;;) {
      await macrotask();
      // what comes while these are handled is noticed in the next turn
      for (const pollMs = this.nowMs; this.#events.length > 0 && this.#events[0]!.atMs <= pollMs;) {
        this.#dispatch();
        await macrotask();
      }
      if (this.#sleepers.length > 0) {
        for (const wake of this.#sleepers.splice(0)) {
          this.work(WAKE_MS);
          wake();
          await macrotask();
        }
        continue;
      }
      if (this.#events.length > 0) {
        this.nowMs = Math.max(this.nowMs, this.#events[0]!.atMs);
        continue;
      }
      if (isDone()) return;
      throw new Error("The host is idle, and some request has not ended.");
    }
  }

  #dispatch(): void {
    const event = this.#events.shift()!;
    this.#lastEventMs = this.nowMs;
    event.run();
  }
}

/** Lets everything run that waits for nothing. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

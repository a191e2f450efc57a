/**
 * What a scheduler and its lanes are told by whoever makes them.
 */
import type { CallCost } from "./job.ts";

/** How a scheduler serves the lanes that it makes. */
export interface SchedulerOptions {
  /** Rows that one call carries at most; a wider prompt takes several calls an iteration. [default 64] */
  readonly width?: number;
  /** Rows that run before the host is let in, where `cost` says nothing of their time. [default 256] */
  readonly yieldEvery?: number;
  /** What rows are predicted to take. [default one each, and `quantumMs` without effect] */
  readonly cost?: CallCost;
  /**
   * Most milliseconds of a call, and of calls before the host is let in: how soon a newcomer is seen, and how evenly
   * time is shared. Rows that cannot be split from others may take longer. [default 2]
   */
  readonly quantumMs?: number;
  /** How much longer than predicted work takes now, with all that the thread does between calls. [default as predicted] */
  readonly slowdown?: () => number;
  /** Milliseconds of work that could be done first without making a deadline late. [default Infinity] */
  readonly slackMs?: () => number;
  /** Requests that the host has brought so far; while it brings more it is let in again. [default not counted] */
  readonly newcomers?: () => number;
  /** Hears since when the host may not have been let in. [default nobody] */
  readonly closed?: (sinceMs: number | undefined) => void;
  /** Hears of all work, in predicted milliseconds. [default nobody] */
  readonly meter?: CallMeter;
  /** Milliseconds of any origin. [default stands still] */
  readonly now?: () => number;
}

/** Who learns from calls how fast the host is. */
export interface CallMeter {
  /** A call begins. */
  begin(): void;
  /** Work beside the calls. */
  add(predictedMs: number): void;
  /** The call has ended. @param isMore whether further work waits already */
  end(predictedMs: number, isMore: boolean): void;
}

/** How a lane's work is ordered among the others'. */
export interface LaneOptions {
  /** Deadline in milliseconds; the earliest goes first, by any clock that all lanes share. [default Infinity] */
  readonly deadlineMs?: number;
  /**
   * Whose work this is. What deadlines leave is shared alike among flows, however many lanes each has.
   * [default a flow of its own]
   */
  readonly flow?: string | undefined;
  /**
   * Lets the host run other requests: a real yield of this request's own, such as scheduler.wait(0).
   * [default waits for the call that runs, and some microtasks for lanes that think: enough for lanes of one program]
   */
  readonly yieldToHost?: () => Promise<void>;
  /**
   * Some milliseconds of waiting by a timer of this request's own, where requests' timers may die: then another takes over.
   * [default none: lanes do not die]
   */
  readonly patience?: (() => Promise<void>) | undefined;
  /** Whether it is too late for tokens of this lane that have not been begun: they fail instead of running. [default never] */
  readonly isOverdue?: () => boolean;
}

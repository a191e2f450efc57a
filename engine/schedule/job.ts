/**
 * What waits for a call of the backend, and whose it is. Data alone: who goes first is order.ts, how a call is made
 * calls.ts.
 */
import type { Row, RowInput } from "../port/backend.ts";

export type JobKind = "prelude" | "iterate" | "readout" | "argmax";

/** Callers who share a share of the time that is left by deadlines. */
export interface Flow {
  /** Work done for it, in milliseconds or rows; what it did not ask for in time is not made up for. */
  served: number;
  /** Served work of its lane that was served last, before that: newcomers of the flow begin there. */
  reached: number;
  /** Lanes with open sequences. */
  lanes: number;
  /** Jobs that wait. */
  waiting: number;
}

/** A lane as the scheduler sees it. */
export interface Member {
  readonly deadlineMs: number;
  readonly flow: Flow;
  readonly isOverdue: () => boolean;
  /** Gives way to the host. */
  readonly yieldToHost: () => Promise<void>;
  /** Waits some time, by a timer of its own; those who wait again meanwhile wait for the same one. */
  readonly patience: (() => Promise<void>) | undefined;
  /** Work done for it, in milliseconds or rows. */
  served: number;
  /** A job of it waits for a call. */
  isWaiting: boolean;
  /** How often in a row it was waited for and did not ask. */
  missed: number;
}

/** A call that a lane waits for: rows in causal order, checked already. */
export interface Job {
  readonly kind: JobKind;
  readonly member: Member;
  readonly rows: readonly (Row | RowInput)[];
  readonly heads: readonly Row[];
  /** readout: the tokens whose logits are wanted; undefined = all. */
  readonly only: readonly number[] | undefined;
  /** Whether some of its rows may run before the rest. */
  readonly canSplit: boolean;
  readonly arrival: number;
  /** Rows that have run. */
  done: number;
  state: "waiting" | "done" | "failed";
  /** What the work failed with. */
  error?: unknown;
  /** Ends the wait of the lane: the job has ended, or it is the lane's turn to run calls. */
  wake: () => void;
  /** prelude: the rows made so far. */
  readonly made: Row[];
  /** readout: logits by head. */
  readonly logits: Map<Row, Float32Array>;
  /** argmax: tokens by head. */
  readonly tokens: Map<Row, number>;
}

/** What a lane says of a job. */
export type JobRequest = Omit<Job, "member" | "arrival" | "wake" | "done" | "state" | "error">;

/** The rows of a job that go into one call. */
export interface Portion {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
}

/** What rows are predicted to take, in milliseconds. */
export interface CallCost {
  /** A backend call, beyond its rows. */
  readonly callMs: number;
  /**
   * A row of a call.
   * @param position what it sees is before it
   * @param isHead   whether its logits are read
   */
  rowMs(kind: JobKind | "measure" | "pressure", position: number, isHead: boolean): number;
}

/** Positions of a job's rows: those of inputs follow their sequence. */
export function positionOf(job: Pick<Job, "rows" | "done">, index: number): number {
  const row = job.rows[index]!;
  return "position" in row ? row.position : row.sequence.length + index - job.done;
}

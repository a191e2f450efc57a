/**
 * The depth scheduler: several requests share one backend, and their rows, at whatever depth each is, go through the
 * core together. Every request runs its own token loop against a lane, which looks like a backend; the scheduler
 * gathers what the lanes want, earliest deadline first, up to a width, runs it in one call, and so refills between
 * iterations as rows exit and requests come. Results are those of the request alone: rows never see other sequences.
 *
 * There is no loop of the scheduler's own: whichever lane waits runs the next call, for everybody. On Workers a timer
 * belongs to the request that set it and dies with it; a loop started by one request would leave the others waiting.
 * Not here: what a request may spend (engine/budget), which one is let in at all.
 */
import type { Backend, MaybePromise, Row, RowInput } from "../port/backend.ts";
import { FathomError } from "../errors.ts";
import { logitsOf } from "../port/measure.ts";
import { Lane, type Job, type JobKind } from "./lane.ts";

export interface SchedulerOptions {
  /** Rows that one call carries at most; a wider prompt takes several calls an iteration. [default 64] */
  readonly width?: number;
  /** Rows that a lane runs, for itself or others, before it lets the host in. [default 256] */
  readonly yieldEvery?: number;
}

export interface LaneOptions {
  /** Deadline in milliseconds; the earliest goes first, by any clock that all lanes share. [default Infinity] */
  readonly deadlineMs?: number;
  /**
   * Lets the host run other requests: a real yield of this request's own, such as scheduler.wait(0).
   * [default waits for the call that runs, and some microtasks for lanes that think: enough for lanes of one program]
   */
  readonly yieldToHost?: () => Promise<void>;
  /** Whether it is too late for tokens of this lane that have not been begun: they fail instead of running. [default never] */
  readonly isOverdue?: () => boolean;
}

/** Prelude and readout before iterations: they let a request start, or end and make room. */
const ORDER: readonly JobKind[] = ["readout", "argmax", "prelude", "iterate"];

/**
 * Runs several requests on one backend: each gets a lane, which looks like a backend, and rows of all lanes go through the
 * core together, earliest deadline first. What a request computes never depends on the others.
 * @example
 * ```ts
 * const scheduler = new Scheduler(model.backend);
 * const lane = scheduler.lane({ deadlineMs: performance.now() + 200 });
 * for await (const token of generate(lane, options)) console.log(token.token);
 * ```
 */
export class Scheduler {
  readonly backend: Backend;
  readonly #width: number;
  readonly #yieldEvery: number;
  readonly #jobs: Job[] = [];
  /** Lanes with an open sequence. */
  readonly #active = new Set<Lane>();
  /** The call of the backend that is under way. Never rejects. */
  #running: Promise<void> | undefined;
  #arrivals = 0;
  #sinceYield = 0;
  /** Backend calls made so far, by kind: what sharing saved shows here. */
  readonly calls: Record<JobKind, number> = { prelude: 0, iterate: 0, readout: 0, argmax: 0 };

  constructor(backend: Backend, options: SchedulerOptions = {}) {
    this.backend = backend;
    this.#width = Math.max(1, Math.min(options.width ?? 64, backend.maxRows));
    this.#yieldEvery = options.yieldEvery ?? 256;
  }

  /** A backend for one request. Its calls wait their turn; everything else is the shared backend's. */
  lane(options: LaneOptions = {}): Backend {
    const { deadlineMs = Infinity, yieldToHost = () => this.#yieldMicrotasks(), isOverdue = () => false } = options;
    const lane: Lane = new Lane(this.backend, {
      run: (job) => this.#run(lane, { ...job, deadlineMs, isOverdue, arrival: this.#arrivals++ }, yieldToHost),
      active: (isActive) => (isActive ? this.#active.add(lane) : this.#active.delete(lane)),
    });
    return lane;
  }

  /** Rows waiting for a call. */
  get waitingRows(): number {
    return this.#jobs.reduce((sum, job) => sum + job.rows.length - job.done, 0);
  }

  /** Runs calls, this lane's or more urgent ones, until the job is done. */
  async #run(lane: Lane, job: Job, yieldToHost: () => Promise<void>): Promise<void> {
    this.#jobs.push(job);
    lane.waiting = true;
    // others may be about to ask for their next step: then it is worth waiting for them
    if (this.#othersThink(lane)) await yieldToHost();
    while (job.state === "waiting") {
      if (this.#running !== undefined || this.#sinceYield >= this.#yieldEvery) {
        this.#sinceYield = 0;
        await yieldToHost();
        continue;
      }
      this.#dropOverdue();
      if (this.#jobs.length === 0) break;
      const kind = ORDER.find((k) => this.#jobs.some((j) => j.kind === k))!;
      await this.#call(kind, this.#gather(kind));
    }
    lane.waiting = false;
    if (job.state === "failed") throw job.error;
  }

  /** Work that nobody waits for any more: preludes of requests past their deadline. What has begun may end. */
  #dropOverdue(): void {
    for (const job of this.#jobs.filter((j) => j.kind === "prelude" && j.done === 0 && j.isOverdue())) {
      job.error = new FathomError("budget_exhausted", "The request's time was over before its turn came.", "budget.latency_ms");
      this.#finish(job, "failed");
    }
  }

  /** A call may need the host's timers or I/O, for which turns of microtasks would never end. */
  async #yieldMicrotasks(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    for (let turn = 0; turn < MICROTASK_TURNS; turn++) await Promise.resolve();
  }

  #othersThink(lane: Lane): boolean {
    for (const other of this.#active) if (other !== lane && !other.waiting) return true;
    return false;
  }

  /** Jobs of a kind, earliest deadline first, with as many of their next rows as the width has room for. */
  #gather(kind: JobKind): Portion[] {
    const waiting = this.#jobs.filter((job) => job.kind === kind).sort((a, b) => a.deadlineMs - b.deadlineMs || a.arrival - b.arrival);
    const portions: Portion[] = [];
    let room = this.#width;
    for (const job of waiting) {
      if (room === 0) break;
      const left = job.rows.length - job.done;
      const take = job.canSplit ? Math.min(left, room) : left;
      if (take > room && portions.length > 0) continue;
      portions.push({ job, from: job.done, to: job.done + take });
      room = Math.max(0, room - take);
    }
    return portions;
  }

  async #call(kind: JobKind, portions: readonly Portion[]): Promise<void> {
    this.#sinceYield += portions.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#running = this.#attempt(kind, portions);
    await this.#running;
    this.#running = undefined;
  }

  /** A named error has changed nothing in the backend: then each job runs by itself, and only those at fault fail. */
  async #attempt(kind: JobKind, portions: readonly Portion[]): Promise<void> {
    this.calls[kind]++;
    try {
      await RUN[kind](this.backend, portions);
    } catch (error) {
      if (portions.length > 1 && error instanceof FathomError) {
        for (const portion of portions) await this.#attempt(kind, [portion]);
        return;
      }
      for (const { job } of portions) {
        job.error = error;
        this.#finish(job, "failed");
      }
      return;
    }
    for (const { job, to } of portions) {
      job.done = to;
      if (to === job.rows.length) this.#finish(job, "done");
    }
  }

  #finish(job: Job, state: "done" | "failed"): void {
    job.state = state;
    job.lane.waiting = false;
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
  }
}

/** The rows of a job that go into one call. */
interface Portion {
  readonly job: Job;
  readonly from: number;
  readonly to: number;
}

const RUN: Readonly<Record<JobKind, (backend: Backend, portions: readonly Portion[]) => MaybePromise<void>>> = {
  async prelude(backend, portions) {
    const rows = await backend.prelude(portions.flatMap(({ job, from, to }) => job.rows.slice(from, to) as RowInput[]));
    let at = 0;
    for (const { job, from, to } of portions) {
      job.made.push(...rows.slice(at, at + to - from));
      at += to - from;
    }
  },
  iterate: (backend, portions) => backend.iterate(portions.flatMap(({ job, from, to }) => job.rows.slice(from, to) as Row[])),
  async readout(backend, portions) {
    const { rows, heads, owners } = headsOf(portions);
    const tokens = wantedBy(portions);
    const logits = await backend.readout(rows, heads, tokens);
    heads.forEach((head, i) => owners[i]!.logits.set(head, entriesFor(owners[i]!, logits[i]!, tokens)));
  },
  async argmax(backend, portions) {
    const { rows, heads, owners } = headsOf(portions);
    const tokens = await backend.argmax!(rows, heads);
    heads.forEach((head, i) => owners[i]!.tokens.set(head, tokens[i]!));
  },
};

/** The tokens whose logits any job of a call wants; undefined = all. */
function wantedBy(portions: readonly Portion[]): readonly number[] | undefined {
  const [first] = portions;
  if (portions.every(({ job }) => job.only === first!.job.only)) return first!.job.only;
  if (portions.some(({ job }) => job.only === undefined)) return undefined;
  return [...new Set(portions.flatMap(({ job }) => job.only!))];
}

/** A job's part of what a call brought for `tokens`. */
function entriesFor({ only }: Job, logits: Float32Array, tokens: readonly number[] | undefined): Float32Array {
  return only === undefined || only === tokens
    ? logits
    : logitsOf(logits, tokens === undefined ? only : only.map((t) => tokens.indexOf(t)));
}

/** Rows of the portions, the heads among them, and whose those are. */
function headsOf(portions: readonly Portion[]): { readonly rows: Row[]; readonly heads: Row[]; readonly owners: Job[] } {
  const [rows, heads, owners]: [Row[], Row[], Job[]] = [[], [], []];
  for (const { job, from, to } of portions) {
    const part = job.rows.slice(from, to) as Row[];
    rows.push(...part);
    for (const head of job.heads)
      if (part.includes(head)) {
        heads.push(head);
        owners.push(job);
      }
  }
  return { rows, heads, owners };
}

/** Microtask turns that a resumed token loop may need until it asks for its next step. */
const MICROTASK_TURNS = 12;

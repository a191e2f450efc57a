/**
 * The depth scheduler: several requests share one backend, and their rows, at whatever depth each is, go through the
 * core together. Every request runs its own token loop against a lane, which looks like a backend; the scheduler
 * gathers what the lanes want, in the order of order.ts, up to a width and a time, runs it in one call, and so refills
 * between iterations as rows exit and requests come. Results are those of the request alone: rows never see other
 * sequences.
 *
 * There is no loop of the scheduler's own: one of the lanes that wait runs the calls, for everybody, until its own work
 * is done, and hands over to another. On Workers a timer belongs to the request that set it and dies with it; a lane
 * whose patience ends before the one at work has made a call takes over from it.
 * Not here: what a request may spend (engine/budget), which one is let in at all.
 */
import type { Backend, Sequence } from "../port/backend.ts";
import { FathomError } from "../errors.ts";
import { RUN } from "./calls.ts";
import type { CallCost, Job, JobKind, JobRequest, Member, Portion } from "./job.ts";
import { Lane, type SharingBackend } from "./lane.ts";
import type { CallMeter, LaneOptions, SchedulerOptions } from "./options.ts";
import { ServiceOrder, type Gathered } from "./order.ts";

/** Rows that count alike where nothing is predicted; calls are bounded by their width then. */
const ROWS_ALIKE: CallCost = { callMs: 0, rowMs: () => 1 };

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
  readonly #yieldEvery: number;
  /** Most milliseconds of calls between two times that the host is let in; Infinity where calls have no prediction. */
  readonly quantumMs: number;
  readonly #cost: CallCost;
  readonly #meter: CallMeter | undefined;
  readonly #now: () => number;
  readonly #slowdown: () => number;
  readonly #slackMs: () => number;
  readonly #newcomers: () => number;
  readonly #closed: (sinceMs: number | undefined) => void;
  readonly #order: ServiceOrder;
  readonly #jobs: Job[] = [];
  /** Sequences that lanes have handed over. */
  readonly #shared = new WeakSet<Sequence>();
  /** Lanes with an open sequence. */
  readonly #active = new Set<Member>();
  /** The lane that runs the calls. */
  #runner: Member | undefined;
  /** The call of the backend that is under way. Never rejects. */
  #running: Promise<void> | undefined;
  #arrivals = 0;
  /**
   * Gives back so many bytes that nobody needs, or false; called where a lane finds no room for a sequence. [default nobody has any]
   */
  reclaim?: (bytes: number) => boolean;
  /** Signs of life of whoever runs the calls. */
  #beats = 0;
  #since = { rows: 0, ms: 0, atMs: -Infinity };
  /** How often lanes that think have been waited for since the last call. */
  #waits = 0;
  /** Backend calls made so far, by kind: what sharing saved shows here. */
  readonly calls: Record<JobKind, number> = { prelude: 0, iterate: 0, readout: 0, argmax: 0 };

  constructor(backend: Backend, options: SchedulerOptions = {}) {
    const { width = 64, yieldEvery = 256, cost = ROWS_ALIKE, slackMs = () => Infinity, now = () => 0 } = options;
    const { slowdown = () => 1, newcomers = () => 0, closed = () => undefined } = options;
    this.backend = backend;
    this.#yieldEvery = cost === ROWS_ALIKE ? yieldEvery : Infinity;
    this.#cost = cost;
    this.#meter = options.meter;
    this.#now = now;
    this.#slowdown = () => Math.min(MOST_CUT, slowdown());
    this.#slackMs = slackMs;
    this.#newcomers = newcomers;
    this.#closed = closed;
    this.quantumMs = cost === ROWS_ALIKE ? Infinity : (options.quantumMs ?? 2);
    this.#order = new ServiceOrder({
      width: Math.max(1, Math.min(width, backend.maxRows)),
      quantumMs: this.quantumMs,
      cost,
      slowdown,
      callSlowdown: this.#slowdown,
      slackMs,
    });
  }

  /** A backend for one request. Its calls wait their turn; everything else is the shared backend's. */
  lane(options: LaneOptions = {}): SharingBackend {
    const { deadlineMs = Infinity, flow, patience, yieldToHost = () => this.#yieldMicrotasks(), isOverdue = () => false } = options;
    const member: Member = {
      deadlineMs,
      flow: this.#order.flow(flow),
      isOverdue,
      yieldToHost,
      patience: patience && oneAtATime(patience),
      served: 0,
      isWaiting: false,
      missed: 0,
    };
    return new Lane(this.backend, {
      run: (request) => this.#run(member, request),
      active: (isActive) => {
        if (isActive === this.#active.has(member)) return;
        if (isActive) this.#active.add(member);
        else this.#active.delete(member);
        this.#order.active(member, isActive);
      },
      looked: (kind, rows) => this.#count(member, kind, rows),
      share: (sequence) => this.#shared.add(sequence),
      isShared: (sequence) => this.#shared.has(sequence),
      makeRoom: (bytes) => this.reclaim?.(bytes) ?? false,
    });
  }

  /** Rows waiting for a call. */
  get waitingRows(): number {
    return this.#jobs.reduce((sum, job) => sum + job.rows.length - job.done, 0);
  }

  /** Waits until the job is done, and runs calls while nobody else does. */
  async #run(member: Member, request: JobRequest): Promise<void> {
    const job: Job = { ...request, member, arrival: this.#arrivals++, done: 0, state: "waiting", wake: () => undefined };
    this.#jobs.push(job);
    this.#order.asked(member);
    member.isWaiting = true;
    member.missed = 0;
    while (job.state === "waiting") {
      if (this.#runner === undefined) await this.#serve(member, job);
      else await this.#wait(member, job);
    }
    if (job.state === "failed") throw job.error;
  }

  /** Runs calls, this lane's or more urgent ones, until the job has ended or another lane has taken over. */
  async #serve(member: Member, job: Job): Promise<void> {
    if (this.#runner === undefined && this.#jobs.length === 1) this.#closed(this.#now());
    this.#runner = member;
    while (job.state === "waiting" && this.#runner === member) {
      this.#beats++;
      const { isUrgent } = this;
      // as predicted, and as a clock that moves shows it; the slowness of the whole thread says too much of the calls
      const ms = Math.max(this.#since.ms, this.#now() - this.#since.atMs);
      const isDue = this.#since.rows >= this.#yieldEvery || ms >= this.quantumMs * (isUrgent ? MOST_QUANTA : 1);
      if (this.#running !== undefined || isDue || (await this.#isWorthWaiting(member, isUrgent))) {
        await this.#giveWay(member, isDue ? MOST_TURNS : 1);
        this.#since = { rows: 0, ms: 0, atMs: this.#now() };
        continue;
      }
      this.#dropOverdue();
      if (this.#jobs.length > 0) await this.#call(this.#order.gather(this.#jobs));
    }
    if (this.#runner !== member) return;
    this.#runner = undefined;
    if (this.#jobs.length === 0) this.#closed(undefined);
    this.#mostUrgent()?.wake();
  }

  /**
   * Lets the host in, and again while it brings newcomers and deadlines leave time: each call between them would make all
   * who have not been read yet wait, those that are to be refused among them.
   */
  async #giveWay(member: Member, most: number): Promise<void> {
    for (let turn = 0; turn < most; turn++) {
      const before = this.#newcomers();
      await member.yieldToHost();
      this.#closed(this.#now());
      this.#beats++;
      if (this.#newcomers() === before || this.#slackMs() < GENEROUS * this.quantumMs) return;
    }
  }

  /** Whether a deadline asks for work now, or has passed. */
  get isUrgent(): boolean {
    return (this.#mostUrgent()?.member.deadlineMs ?? Infinity) < this.#now() || this.#slackMs() < 2 * this.quantumMs;
  }

  /** Waits for the end of the job, or for its turn to run calls. */
  async #wait(member: Member, job: Job): Promise<void> {
    const turn = Promise.withResolvers<void>();
    job.wake = turn.resolve;
    if (member.patience === undefined) return turn.promise;
    const beats = this.#beats;
    await Promise.race([turn.promise, member.patience()]);
    if (job.state === "waiting" && this.#beats === beats && this.#running === undefined) this.#runner = undefined;
  }

  #mostUrgent(): Job | undefined {
    return this.#jobs.length === 0 ? undefined : this.#jobs.reduce((first, job) => (this.#order.compare(job, first) < 0 ? job : first));
  }

  /**
   * Whether a lane is about to ask that would go first, or with the others: before each call it is worth giving way for
   * once, and twice for a deadline, as a lane that gave way itself is resumed after whoever did so before. A lane that
   * has not asked several times running is not worth it (its reader has paused).
   */
  async #isWorthWaiting(member: Member, isUrgent: boolean): Promise<boolean> {
    if (this.#thinking.length > 0) await microtasks(); // most lanes need no more than that
    if (isUrgent && member.patience === undefined) return false; // on Workers another request resumes by the host alone
    const thinking = this.#thinking;
    for (const one of thinking) one.missed++;
    return thinking.length > 0 && ++this.#waits > 0;
  }

  get #thinking(): Member[] {
    const first = this.#mostUrgent()?.member.deadlineMs ?? Infinity;
    const most = (deadlineMs: number): number => (deadlineMs < Infinity ? 2 : 1);
    return [...this.#active].filter(
      (m) => !m.isWaiting && m.deadlineMs <= first && m.missed < MOST_MISSED && this.#waits < most(m.deadlineMs),
    );
  }

  /** Work that nobody waits for any more: preludes of requests past their deadline. What has begun may end. */
  #dropOverdue(): void {
    for (const job of this.#jobs.filter((j) => j.kind === "prelude" && j.done === 0 && j.member.isOverdue())) {
      job.error = new FathomError("budget_exhausted", "The request's time was over before its turn came.", "budget.latency_ms");
      this.#finish(job, "failed");
    }
  }

  /** A call may need the host's timers or I/O, for which turns of microtasks would never end. */
  #yieldMicrotasks(): Promise<void> {
    return this.#running ?? microtasks();
  }

  async #call({ portions, ms }: Gathered): Promise<void> {
    const { kind } = portions[0]!.job;
    this.#since.rows += portions.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#since.ms += ms;
    this.#waits = 0;
    this.#meter?.begin();
    this.#running = this.#attempt(kind, portions);
    await this.#running;
    this.#running = undefined;
    this.#meter?.end(ms, this.#jobs.length > 0);
  }

  /** Work that a lane does at once, beside the calls. */
  #count(member: Member, kind: "measure" | "pressure", rows: readonly { readonly position: number }[]): void {
    const ms = rows.reduce((sum, { position }) => sum + this.#cost.rowMs(kind, position, false), this.#cost.callMs);
    this.#since.ms += ms;
    this.#order.count(member, ms);
    this.#meter?.add(ms);
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
    job.member.isWaiting = false;
    this.#order.answered(job.member);
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    job.wake();
  }
}

/** Waits for as many microtasks as a resumed token loop may need until it asks for its next step. */
async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}

/** Slowness by which calls are made shorter at most: what the thread does between them takes the larger part the shorter they are. */
const MOST_CUT = 4;

/** Quanta of calls before the host is let in while a deadline is in danger, and of slack from which on newcomers are read first. */
const [MOST_QUANTA, GENEROUS] = [2, 8];

/** Turns of the host in a row that bring newcomers before a call is made all the same, and times that a lane is waited for in vain. */
const [MOST_TURNS, MOST_MISSED] = [4, 6];

/** `wait`, of which no second one begins before the first has ended. */
function oneAtATime(wait: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= wait().finally(() => (running = undefined)));
}

/**
 * Who is served next, and with how much of its work: the earliest deadline first, whatever the work is; the time that
 * deadlines leave is shared alike among flows, and within a flow among its lanes (start-time fair queueing, a deficit
 * round robin without rounds). Others' rows ride along in a call as far as that makes nobody late and nobody's share
 * unfair. Not here: running calls (scheduler.ts).
 */
import { positionOf, type CallCost, type Flow, type Job, type Member, type Portion } from "./job.ts";

export interface OrderOptions {
  /** Rows that one call carries at most. */
  readonly width: number;
  /** Most of a call, and of what a flow is served ahead of another, in milliseconds. */
  readonly quantumMs: number;
  readonly cost: CallCost;
  /** How much longer than predicted work takes now, with all that the thread does between calls. */
  readonly slowdown: () => number;
  /** Slowness by which calls are made shorter. */
  readonly callSlowdown: () => number;
  /** Work that could be done first without making any deadline late, in milliseconds. */
  readonly slackMs: () => number;
}

/** One call's work. */
export interface Gathered {
  readonly portions: readonly Portion[];
  /** Predicted milliseconds of the call. */
  readonly ms: number;
}

/** How far behind a flow may fall without losing its claim, in quanta: who did not ask in time has no more than that. */
const CREDIT = 4;

/**
 * Shares of the slack, but for a quantum of it, that one call may use up: of others, while someone with a deadline may be
 * about to ask, and of rows that ride along with such a one, whose every step they make longer.
 */
const SLACK_SHARE = { call: 1 / 8, riders: 1 / 32 } as const;

/** Flows that are remembered without any work of theirs. */
const MOST_FLOWS = 1000;

/** The shortest call where there is no slack, as a share of the quantum. */
const SHORTEST = 1 / 8;

export class ServiceOrder {
  readonly #options: OrderOptions;
  readonly #flows = new Map<string, Flow>();
  /** Served work of the flow that was served last, before that. */
  #reached = 0;

  constructor(options: OrderOptions) {
    this.#options = options;
  }

  /** @param key who shares; undefined: a share of its own */
  flow(key: string | undefined): Flow {
    const known = key === undefined ? undefined : this.#flows.get(key);
    if (known !== undefined) return known;
    const made: Flow = { served: this.#reached, reached: 0, lanes: 0, waiting: 0 };
    if (key === undefined) return made;
    if (this.#flows.size >= MOST_FLOWS) for (const [other, { lanes }] of this.#flows) if (lanes === 0) this.#flows.delete(other);
    this.#flows.set(key, made);
    return made;
  }

  /** A lane has work from now on, or none any more. */
  active(member: Member, isActive: boolean): void {
    const { flow } = member;
    flow.lanes += isActive ? 1 : -1;
    if (!isActive) return;
    if (flow.lanes === 1) flow.served = Math.max(flow.served, this.#reached);
    member.served = Math.max(member.served, flow.reached);
  }

  /** Who would be served first. */
  compare(a: Job, b: Job): number {
    const [{ member: one }, { member: other }] = [a, b];
    if (one.deadlineMs !== other.deadlineMs) return one.deadlineMs - other.deadlineMs;
    const fair = one.deadlineMs === Infinity ? one.flow.served - other.flow.served || one.served - other.served : 0;
    return fair || a.arrival - b.arrival;
  }

  /** Takes what waits into one call, of one kind, and counts it as served. @param jobs at least one */
  gather(jobs: readonly Job[]): Gathered {
    const ranked = jobs.toSorted((a, b) => this.compare(a, b));
    const [head, ...others] = ranked;
    const { width, cost } = this.#options;
    const quantumMs = this.#options.quantumMs / this.#options.callSlowdown();
    const allMs = this.#options.slackMs() / this.#options.slowdown();
    const slackMs = allMs === Infinity ? Infinity : Math.max(0, allMs - quantumMs);
    const mostMs = Math.min(quantumMs, Math.max(quantumMs * SHORTEST, slackMs * SLACK_SHARE.call));
    const first = this.#portion(head!, width, mostMs - cost.callMs, true)!;
    const leading = ranked.find(({ member }) => member.deadlineMs === Infinity)?.member;
    const [leadingFlow, leadingLane] = [leading?.flow.served ?? 0, leading?.served ?? 0];
    let [room, usedMs] = [width - (first.portion.to - first.portion.from), cost.callMs + first.ms];
    const portions = [first.portion];
    this.#serve(head!.member, first.ms);
    let spareMs = head!.member.deadlineMs < Infinity ? slackMs * SLACK_SHARE.riders : Infinity;
    for (const job of others) {
      if (room <= 0) break;
      if (job.kind !== head!.kind) continue;
      const { flow, served, deadlineMs } = job.member;
      // nobody gets further ahead of the one whose turn it is than a quantum
      const ahead = flow === leading?.flow ? served - leadingLane : flow.served - leadingFlow;
      const fairMs = deadlineMs < Infinity ? Infinity : quantumMs - ahead;
      const rider = this.#portion(job, room, Math.min(mostMs - usedMs, spareMs, fairMs), false);
      if (rider === undefined) continue;
      portions.push(rider.portion);
      room -= rider.portion.to - rider.portion.from;
      usedMs += rider.ms;
      spareMs -= rider.ms;
      this.#serve(job.member, rider.ms);
    }
    const rows = width - room;
    for (const { job, from, to } of portions) this.#serve(job.member, (cost.callMs * (to - from)) / rows);
    return { portions, ms: usedMs };
  }

  /** Work that a lane has done beside the calls. */
  count(member: Member, ms: number): void {
    this.#serve(member, ms);
  }

  /** Takes as many of a job's next rows as fit, and says what they take. @param must at least one, or all where it cannot be split */
  #portion(job: Job, room: number, mostMs: number, must: boolean): { portion: Portion; ms: number } | undefined {
    const { cost } = this.#options;
    const heads = new Set(job.heads);
    const left = job.rows.length - job.done;
    const wanted = job.canSplit ? Math.min(left, room) : left;
    if (!must && wanted > room) return undefined;
    let [taken, ms] = [0, 0];
    for (; taken < wanted; taken++) {
      const row = job.rows[job.done + taken]!;
      const rowMs = cost.rowMs(job.kind, positionOf(job, job.done + taken), "position" in row && heads.has(row));
      const fits = ms + rowMs <= mostMs;
      if (!fits && job.canSplit && (taken > 0 || !must)) break;
      if (!fits && !job.canSplit && !must) return undefined;
      ms += rowMs;
    }
    return taken === 0 ? undefined : { portion: { job, from: job.done, to: job.done + taken }, ms };
  }

  /** A lane begins to wait: for what went to others while it did not ask it has no claim beyond some credit. */
  asked(member: Member): void {
    const { flow } = member;
    const credit = CREDIT * this.#options.quantumMs;
    if (flow.waiting++ === 0) flow.served = Math.max(flow.served, this.#reached - credit);
    member.served = Math.max(member.served, flow.reached - credit);
  }

  /** A lane no longer waits. */
  answered({ flow }: Member): void {
    flow.waiting--;
  }

  #serve(member: Member, ms: number): void {
    if (member.deadlineMs < Infinity) return;
    const { flow } = member;
    this.#reached = Math.max(this.#reached, flow.served);
    flow.reached = Math.max(flow.reached, member.served);
    flow.served += ms;
    member.served += ms;
  }
}

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
  /** Work that could be done first without making any deadline late, in milliseconds. */
  readonly slackMs: () => number;
}

/** One call's work. */
export interface Gathered {
  readonly portions: readonly Portion[];
  /** Predicted time of the call, in milliseconds. */
  readonly ms: number;
}

/** How far behind a flow may fall without losing its claim, in quanta: who did not ask in time has no more than that. */
const CREDIT = 4;

/** The share of the slack that rows riding along with an urgent one may use up: what is left is for those with deadlines. */
const RIDERS_SHARE = 1 / 8;

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
    const made: Flow = { served: this.#reached, reached: 0, lanes: 0 };
    if (key !== undefined) this.#flows.set(key, made);
    return made;
  }

  /** A lane has work from now on, or none any more. @param key its flow's */
  active(member: Member, key: string | undefined, isActive: boolean): void {
    const { flow } = member;
    if (isActive) {
      if (flow.lanes++ === 0) flow.served = Math.max(flow.served, this.#reached);
      member.served = Math.max(member.served, flow.reached);
      if (key !== undefined) this.#flows.set(key, flow);
    } else if (--flow.lanes === 0 && key !== undefined) this.#flows.delete(key);
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
    for (const { member } of jobs) this.#forget(member);
    const [head, ...others] = jobs.toSorted((a, b) => this.compare(a, b));
    const first = this.#portion(head!, this.#options.width, this.#options.quantumMs - this.#options.cost.callMs, true)!;
    const [headFlow, headLane] = [head!.member.flow.served, head!.member.served];
    const { width, quantumMs, slackMs, cost } = this.#options;
    let [room, usedMs] = [width - (first.portion.to - first.portion.from), cost.callMs + first.ms];
    const portions = [first.portion];
    this.#serve(head!.member, cost.callMs + first.ms);
    const isUrgent = head!.member.deadlineMs < Infinity;
    let spareMs = isUrgent ? slackMs() * RIDERS_SHARE : Infinity;
    for (const job of others) {
      if (room <= 0) break;
      if (job.kind !== head!.kind) continue;
      const { flow, served } = job.member;
      // nobody gets further ahead of the one whose turn it is than a quantum
      const ahead = flow === head!.member.flow ? served - headLane : flow.served - headFlow;
      const fairMs = isUrgent ? Infinity : quantumMs - ahead;
      const rider = this.#portion(job, room, Math.min(quantumMs - usedMs, spareMs, fairMs), false);
      if (rider === undefined) continue;
      portions.push(rider.portion);
      room -= rider.portion.to - rider.portion.from;
      usedMs += rider.ms;
      spareMs -= rider.ms;
      this.#serve(job.member, rider.ms);
    }
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

  /** Who has waited without asking has no claim to all of what went to others meanwhile. */
  #forget(member: Member): void {
    const { flow } = member;
    if (member.deadlineMs < Infinity) return;
    const credit = CREDIT * this.#options.quantumMs;
    flow.served = Math.max(flow.served, this.#reached - credit);
    member.served = Math.max(member.served, flow.reached - credit);
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

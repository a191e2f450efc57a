/**
 * Prefixes of prompts that have run before: what a later prompt that begins alike takes over, and what is kept of it.
 * The rows of a call advance together and each reads what those before it hold at that moment; so rows behind a prefix that
 * has long ended see it pass through the same moments again, and compute what they would beside it, bit for bit. That
 * takes an exit rule under which rows stop by what stands before them alone. Data only: who keeps it is
 * engine/schedule/prefix-cache.ts, who runs beside it engine/decode/forward.ts.
 */
import type { ExitRule } from "../exit-rule.ts";
import type { Row, Sequence } from "./backend.ts";

/** What the rows of a prompt went through, iteration by iteration of their call. */
export interface Timeline {
  /** Iterations that each position had run after each iteration of the call, [positions] */
  readonly counts: readonly Uint16Array[];
  /** How far each position moved in it, 0 where it rested, [positions]; undefined where the exit rule did not look */
  readonly moved: readonly (Float32Array | undefined)[];
  /** 1 where a position would have gone on after the last, [positions] */
  readonly goesOn: Uint8Array;
}

/** A prompt's beginning, run before. */
export interface Prefix {
  /** A sequence with a history that holds it, and maybe more behind it. */
  readonly sequence: Sequence;
  /** Positions taken over, at least 1, fewer than the prompt has. */
  readonly length: number;
  readonly timeline: Timeline;
}

/** A prompt's part in the prefixes that are kept. */
export interface PromptPrefix {
  /** What begins alike; undefined: nothing does. */
  readonly found: Prefix | undefined;
  /** Iterations to keep of the prompt's own rows, for later prompts; undefined: nothing is kept. */
  readonly keepIterations: number | undefined;
  /** Takes the prompt's sequence, none of whose rows is in flight any more. @returns whether it is taken */
  keep(sequence: Sequence, timeline: Timeline): boolean;
}

/** Whether rows stop by what stands before them alone, and so what a prefix went through does not depend on what follows. */
export function isCausal({ criterion }: ExitRule): boolean {
  return criterion === "none" || criterion === "prefix" || criterion === "rest-wake";
}

/** The iteration of the call after which none of the first `length` positions ran any more. */
function lastRun({ counts }: Timeline, length: number): number {
  for (let t = counts.length; t > 1; t--) for (let p = 0; p < length; p++) if (counts[t - 1]![p] !== counts[t - 2]![p]) return t;
  return Math.min(1, counts.length);
}

/**
 * How many of the first `length` positions a call of at most `iterations` iterations can take over: those that had come to
 * rest by then, or all where it ends when theirs did.
 */
export function usableLength(timeline: Timeline, length: number, iterations: number): number {
  if (timeline.counts.length === iterations) return length;
  const moving = timeline.goesOn.indexOf(1);
  let usable = moving < 0 ? length : Math.min(length, moving);
  while (usable > 0 && lastRun(timeline, usable) > iterations) usable--;
  return usable;
}

/** A prefix passing through its moments again, beside a call. */
export class Replay {
  readonly length: number;
  /** The iteration of the call after which it stands still. */
  readonly lastRun: number;
  /** The iteration after which all of it has stopped by the exit rule; Infinity where something else ended it. */
  readonly restsFrom: number;
  readonly #timeline: Timeline;
  readonly #recall: (iterations: Uint16Array | undefined) => void;

  /** @param recall lets the call's rows see positions after so many iterations each; undefined: as they ended */
  constructor({ timeline, length }: Prefix, recall: (iterations: Uint16Array | undefined) => void) {
    this.length = length;
    this.#timeline = timeline;
    this.lastRun = lastRun(timeline, length);
    this.restsFrom = this.goesOn.includes(1) ? Infinity : this.lastRun;
    this.#recall = recall;
  }

  /** 1 where a position had not stopped by the exit rule, [length] */
  get goesOn(): Uint8Array {
    return this.#timeline.goesOn.subarray(0, this.length);
  }

  /** Shows it as it was in an iteration of its call. */
  show(iteration: number): void {
    this.#recall(iteration < this.lastRun ? this.countsAt(iteration) : undefined);
  }

  /** Shows it as it ended. */
  end(): void {
    this.#recall(undefined);
  }

  /** Iterations that each position had run, [length] */
  countsAt(iteration: number): Uint16Array {
    const { counts } = this.#timeline;
    return counts[Math.min(iteration, counts.length) - 1]!.subarray(0, this.length);
  }

  /** How far each position moved, [length]; undefined where none did */
  movedAt(iteration: number): Float32Array | undefined {
    return iteration > this.lastRun ? undefined : this.#timeline.moved[iteration - 1]?.subarray(0, this.length);
  }
}

/** Notes what a prompt's rows go through, those of a prefix beside them included. */
export class TimelineRecorder {
  readonly #positions: number;
  readonly #before: Replay | undefined;
  readonly #counts: Uint16Array[] = [];
  readonly #moved: (Float32Array | undefined)[] = [];

  /** @param positions of the prompt, those of the prefix among them */
  constructor(positions: number, before?: Replay) {
    this.#positions = positions;
    this.#before = before;
  }

  /**
   * Notes an iteration of the call.
   * @param moved by position, as far as the exit rule looked
   */
  note(ran: readonly Row[], moved: Float32Array | undefined): void {
    const counts = this.#counts.at(-1)?.slice() ?? new Uint16Array(this.#positions);
    if (this.#before !== undefined) counts.set(this.#before.countsAt(this.#counts.length + 1));
    for (const { position, iterations } of ran) counts[position] = iterations;
    this.#counts.push(counts);
    this.#moved.push(moved?.slice());
  }

  /** What the rows have gone through; undefined until their call has ended. */
  timeline: Timeline | undefined;

  /** @param left rows that would have gone on */
  end(left: readonly Row[]): void {
    const goesOn = new Uint8Array(this.#positions);
    if (this.#before !== undefined) goesOn.set(this.#before.goesOn);
    for (const { position } of left) goesOn[position] = 1;
    this.timeline = { counts: this.#counts, moved: this.#moved, goesOn };
  }
}

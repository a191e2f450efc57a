/**
 * Beginnings of prompts, kept from one request to the next: sequences of the shared backend that lanes have handed over,
 * counted in its ledger once. Bounded; what was used longest ago goes first, and before anybody is refused for want of
 * memory. Not here: why rows behind such a prefix compute what they would beside it (engine/port/prefix.ts).
 */
import type { CacheStrategy } from "../cache-strategy.ts";
import { isCausal, usableLength, type Prefix, type PromptPrefix, type Timeline } from "../port/prefix.ts";
import type { ExitRule } from "../exit-rule.ts";
import type { Backend, Sequence } from "../port/backend.ts";
import type { SharingBackend } from "./lane.ts";
import type { Scheduler } from "./scheduler.ts";

/** Iterations that are kept of a prompt: on the shipped model its own come to rest after 3 to 12, foreign ones near 32. Deeper ones are not kept. */
const MOST_ITERATIONS = 32;

/** Prompts that are looked through, at most. */
const MOST_ENTRIES = 256;

/** Bytes of a timeline, an iteration of a position. */
const NOTED_BYTES = 6;

interface Entry {
  readonly key: string;
  /** Tokens of the whole prompt, those of its parents among them. */
  readonly tokens: readonly number[];
  readonly sequence: Sequence;
  readonly timeline: Timeline;
  readonly coda: KeptCoda;
  readonly bytes: number;
  readonly parent: Entry | undefined;
  /** Requests that use it, and entries that are branches of it. */
  users: number;
  usedAt: number;
}

/** What a prompt can take over. */
interface Match {
  /** The entry that holds the last of the positions. */
  readonly entry: Entry;
  readonly length: number;
  readonly timeline: Timeline;
}

/** What is read of a prompt's coda: nothing, what it leaves once it has ended, or what it leaves after each iteration. */
export type KeptCoda = "none" | "last" | "each";

/** What a request's prompt must have in common with another, beside its tokens. */
export interface PrefixTerms {
  /** Whose prompts may meet, e.g. a caller's key. [default everybody's] */
  readonly scope?: string | undefined;
  readonly exit: ExitRule;
  readonly cache: CacheStrategy;
  /** Most iterations that the prompt may run. */
  readonly iterations: number;
  /** Bytes that the cache may have, by this request's deployment. */
  readonly limitBytes: number;
  /** Fewest tokens that are taken over, and that are kept of a prompt. */
  readonly minTokens: number;
  /** Whether nothing is taken over, only kept: for requests whose answers depend on what they cost. [default false] */
  readonly onlyKeeps?: boolean;
  /** What rows behind the prompt read of its coda. Nothing: then nothing comes behind the iterations, either. [default "last"] */
  readonly coda?: KeptCoda;
}

/** A request's part in the cache, until it is released. */
export interface PrefixHold extends PromptPrefix {
  /** Ends the request: what was taken of it stays for others where it `succeeded`. May be called again, for nothing. */
  release(succeeded: boolean): void;
}

/** The prefixes that one backend keeps: taken from by requests that begin alike, and given way where memory is wanted. */
export class PrefixCache {
  readonly #backend: Backend;
  readonly #entries = new Set<Entry>();
  #clock = 0;
  #usedBytes = 0;
  /** Bytes of prompts that run and are to be kept. */
  #promisedBytes = 0;

  /** @param scheduler whose lanes hand over sequences; it asks this cache for room from now on */
  constructor(scheduler: Scheduler) {
    this.#backend = scheduler.backend;
    scheduler.reclaim = (bytes) => this.#makeRoom(bytes);
  }

  /** Bytes of kept sequences, as the backend's ledger counts them, and of what is noted beside. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What there is for a prompt. The hold must be released. */
  find(lane: SharingBackend, prompt: readonly number[], terms: PrefixTerms): PrefixHold {
    const { exit, iterations } = terms;
    if (!canKeep(lane, terms)) return NOTHING;
    const { criterion, threshold, wake, minIterations, checkEvery, exitInPrefill } = exit;
    const key = JSON.stringify([terms.scope, criterion, threshold, wake, minIterations, checkEvery, exitInPrefill]);
    const best = terms.onlyKeeps === true ? undefined : this.#longest(key, prompt, terms);
    if (best !== undefined) this.#use(best.entry);
    const found: Prefix | undefined = best && { sequence: best.entry.sequence, length: best.length, timeline: best.timeline };
    const kept = Math.min(MOST_ITERATIONS, iterations);
    const promised = this.#promise(lane, prompt.length, found?.length ?? 0, kept, terms);
    return this.#hold(lane, key, prompt, terms.coda ?? "last", best?.entry, found, promised === 0 ? undefined : kept, promised);
  }

  /** Forgets everything that no request uses now. */
  clear(): void {
    this.#makeRoom(Infinity);
  }

  #hold(
    lane: SharingBackend,
    key: string,
    prompt: readonly number[],
    coda: KeptCoda,
    parent: Entry | undefined,
    found: Prefix | undefined,
    keepIterations: number | undefined,
    promised: number,
  ): PrefixHold {
    let taken: Entry | undefined;
    let isReleased = false;
    return {
      found,
      keepIterations,
      keep: (sequence, timeline) => {
        const { counts } = timeline;
        if (taken !== undefined || isReleased || counts.length === 0 || counts.at(-1)!.some((count) => count > keepIterations!))
          return false;
        lane.handOver(sequence);
        taken = { key, tokens: [...prompt], sequence, timeline, coda, bytes: promised, parent, users: 0, usedAt: 0 };
        if (parent !== undefined) parent.users++;
        return true;
      },
      release: (succeeded) => {
        if (isReleased) return;
        isReleased = true;
        this.#promisedBytes -= promised;
        if (parent !== undefined) parent.users--;
        if (taken === undefined) return;
        this.#add(taken);
        if (!succeeded) this.#drop(taken);
        if (this.#entries.size > MOST_ENTRIES) this.#drop(this.#oldest());
      },
    };
  }

  #add(entry: Entry): void {
    this.#usedBytes += entry.bytes;
    this.#entries.add(entry);
    entry.usedAt = ++this.#clock;
  }

  /** Reserves the bytes that keeping a prompt takes. @returns 0 where it is not kept */
  #promise(lane: Backend, tokens: number, found: number, iterations: number, { cache, limitBytes, minTokens, coda }: PrefixTerms): number {
    const capacity = tokens - found;
    if (capacity < minTokens) return 0;
    const options = { capacity, maxIterations: iterations, cache, rows: 1, history: { iterations, coda: coda === "each" } };
    const bytes = lane.sequenceBytes(options, found) + NOTED_BYTES * tokens * iterations;
    if (bytes > limitBytes) return 0;
    const excess = this.#usedBytes + this.#promisedBytes + bytes - limitBytes;
    if (excess > 0 && !this.#makeRoom(excess)) return 0;
    this.#promisedBytes += bytes;
    return bytes;
  }

  #longest(key: string, prompt: readonly number[], { iterations, minTokens, coda = "last" }: PrefixTerms): Match | undefined {
    let best: Match | undefined;
    for (const entry of this.#entries) {
      if (entry.key !== key || (coda !== "none" && entry.coda === "none")) continue;
      const common = commonLength(entry.tokens, prompt, prompt.length - 1); // the last row is read out
      if (common < minTokens || common <= (best?.length ?? 0)) continue;
      const { timeline } = holderOf(entry, common);
      const length = coda === "none" && timeline.counts.length >= iterations ? common : usableLength(timeline, common, iterations);
      if (length >= minTokens && length > (best?.length ?? 0)) best = { entry: holderOf(entry, length), length, timeline };
    }
    return best;
  }

  #use(entry: Entry): void {
    entry.users++;
    this.#clock++;
    for (let e: Entry | undefined = entry; e !== undefined; e = e.parent) e.usedAt = this.#clock;
  }

  /** Drops what was used longest ago until so many bytes are free again. @returns false, with nothing dropped, where that is out of reach */
  #makeRoom(bytes: number): boolean {
    if (Number.isFinite(bytes) && bytes > this.#freeableBytes()) return false;
    let freed = 0;
    for (let entry = this.#oldest(); entry !== undefined && freed < bytes; entry = this.#oldest()) {
      freed += entry.bytes;
      this.#drop(entry);
    }
    return freed > 0;
  }

  /** Bytes of entries that no request uses, nor a branch of theirs. */
  #freeableBytes(): number {
    const inUse = new Set<Entry>();
    const branches = new Map<Entry, number>();
    for (const { parent } of this.#entries) if (parent !== undefined) branches.set(parent, (branches.get(parent) ?? 0) + 1);
    for (const entry of this.#entries)
      if (entry.users > (branches.get(entry) ?? 0)) for (let e: Entry | undefined = entry; e !== undefined; e = e.parent) inUse.add(e);
    let sum = 0;
    for (const entry of this.#entries) if (!inUse.has(entry)) sum += entry.bytes;
    return sum;
  }

  #oldest(): Entry | undefined {
    let oldest: Entry | undefined;
    for (const entry of this.#entries) if (entry.users === 0 && entry.usedAt < (oldest?.usedAt ?? Infinity)) oldest = entry;
    return oldest;
  }

  #drop(entry: Entry | undefined): void {
    if (entry === undefined || !this.#entries.delete(entry)) return;
    this.#usedBytes -= entry.bytes;
    if (entry.parent !== undefined) entry.parent.users--;
    this.#backend.closeSequence(entry.sequence);
  }
}

/** The hold of a prompt that has no part in the cache. */
const NOTHING: PrefixHold = { found: undefined, keepIterations: undefined, keep: () => false, release: () => undefined };

/** Whether rows behind a prefix would compute what they do beside it, and the backend can show them its past. No rule stops rows before their first iteration. */
function canKeep({ recall, config }: Backend, { exit, iterations, cache: { sharing }, limitBytes }: PrefixTerms): boolean {
  const sharesSlots = sharing.kind === "cyclic" && sharing.slots === config.coreLayers;
  return recall !== undefined && limitBytes > 0 && sharesSlots && (isCausal(exit) || iterations === 1);
}

/** The entry, of this one and its parents, that holds the last of the first `length` positions. */
function holderOf(entry: Entry, length: number): Entry {
  return entry.parent !== undefined && entry.sequence.start >= length ? holderOf(entry.parent, length) : entry;
}

/** Tokens that two prompts begin with alike, at most `most`. */
function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  const end = Math.min(a.length, most);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

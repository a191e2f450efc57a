/**
 * A ledger of who owns which bytes of a linear memory: one model's, which has the memory to itself, or shares it with other
 * models' arenas. A request that does not fit is refused before anything is taken. Regions are few and large.
 */
import type { MemoryLedger } from "../engine/port/backend.ts";
import { FathomError, TooLargeError } from "../engine/errors.ts";
import type { Reclaimable } from "../engine/port/reclaimable.ts";
import { LinearMemory, mebibytes } from "./linear-memory.ts";

export type Owner = "module" | "weights" | "kv cache" | "rows" | "prefixes" | "scratch" | "tables";

export interface Region {
  owner: Owner;
  /** Byte offset in the memory, a multiple of 64. */
  readonly address: number;
  /** A multiple of 64. */
  readonly bytes: number;
}

/** What an arena needs to know of a memory that is not its own. */
export interface Sharing {
  readonly memory: LinearMemory;
  /** Bytes of the memory that are nobody's and stay so: the kernels' own. */
  readonly fixedBytes: number;
  /** Makes room for a region of the model's own by taking another model out. @returns whether one went */
  readonly makeRoom: (bytes: number) => boolean;
}

/** A cache line: every region starts on one. */
const ALIGN_BYTES = 64;

export class Arena {
  readonly #space: LinearMemory;
  readonly #sharing: Sharing | undefined;
  readonly #owned = new Map<Owner, number>();
  readonly #live = new Set<Region>();
  readonly #kept: Reclaimable[] = [];
  #used = 0;
  #peak = 0;
  #isClosed = false;

  /**
   * @param memory most bytes that a memory of its own may ever have, rounded down to whole pages; or one that is shared
   * @param isShared whether other threads may have its own memory, too [default false]
   */
  constructor(memory: number | Sharing, isShared = false) {
    this.#sharing = typeof memory === "number" ? undefined : memory;
    this.#space = typeof memory === "number" ? new LinearMemory(memory, isShared) : memory.memory;
  }

  get memory(): WebAssembly.Memory {
    return this.#space.memory;
  }

  /** Bytes that this arena has or could have, as long as others keep theirs. */
  get limitBytes(): number {
    return this.#space.limitBytes - (this.#space.usedBytes - this.#usedBytes);
  }

  /** The whole memory, in the current buffer: do not keep it across an allocation. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#space.bytes;
  }

  /** The whole memory as f32; index = address / 4. */
  get floats(): Float32Array<ArrayBuffer> {
    return this.#space.floats;
  }

  /** The whole memory as u32; index = address / 4. */
  get words(): Uint32Array<ArrayBuffer> {
    return this.#space.words;
  }

  /** Bytes that a region of this size really takes. */
  static sizeOf(bytes: number): number {
    return Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
  }

  /** A region of the model's own, of zeros. @throws {FathomError} out_of_memory, before anything is changed */
  allocate(owner: Owner, bytes: number, what: string): Region {
    const size = Math.max(Arena.sizeOf(bytes), ALIGN_BYTES);
    let region = this.#take(owner, size, what);
    while (region === undefined && this.#sharing?.makeRoom(size) === true) region = this.#take(owner, size, what);
    if (region === undefined) throw this.#refusal(size, what, true);
    // a model that has gone may have been here; the kernels' own data is there already
    if (this.#sharing !== undefined && owner !== "module") this.bytes.fill(0, region.address, region.address + size);
    return region;
  }

  /**
   * The regions of a request at once, or none.
   * @throws {FathomError} out_of_memory, before anything is changed
   */
  allocateAll(wanted: readonly (readonly [owner: Owner, bytes: number])[], what: string): Region[] {
    const peak = this.#peak;
    const regions: Region[] = [];
    try {
      for (const [owner, bytes] of wanted) {
        const region = this.#take(owner, Math.max(Arena.sizeOf(bytes), ALIGN_BYTES), what);
        if (region === undefined) break;
        regions.push(region);
      }
      if (regions.length === wanted.length) return regions;
    } catch (error) {
      this.#undo(regions, peak);
      throw error; // the host's, which no limit explains
    }
    this.#undo(regions, peak);
    const size = wanted.reduce((sum, [, bytes]) => sum + Arena.sizeOf(bytes), 0);
    throw this.#refusal(size, what, false);
  }

  #undo(regions: readonly Region[], peak: number): void {
    for (const region of regions) this.free(region);
    this.#peak = peak;
  }

  /** Freeing a region twice is a mistake of the caller and does nothing. */
  free(region: Region): void {
    if (!this.#live.delete(region)) return;
    this.#owned.set(region.owner, this.#owned.get(region.owner)! - region.bytes);
    this.#used -= region.bytes;
    this.#space.give(region.address, region.bytes);
  }

  /** Gives everything back; nothing can be had of it any more. */
  close(): void {
    this.#isClosed = true;
    for (const region of this.#live) this.free(region);
    for (const kept of this.#kept) this.#space.kept.delete(kept);
  }

  /** Counts what is kept in the host's memory beside this one. */
  count(kept: Reclaimable): void {
    this.#kept.push(kept);
    this.#space.kept.add(kept);
  }

  /** Counts a region under another owner. */
  reassign(region: Region, owner: Owner): void {
    if (!this.#live.has(region)) return;
    this.#owned.set(region.owner, this.#owned.get(region.owner)! - region.bytes);
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + region.bytes);
    region.owner = owner;
  }

  ledger(): MemoryLedger {
    const kept = this.#kept.map(({ owner, usedBytes }) => [owner, usedBytes] as const);
    const owners = Object.fromEntries([...this.#owned, ...kept].filter(([, bytes]) => bytes > 0));
    const usedBytes = this.#usedBytes;
    return { usedBytes, peakBytes: Math.max(this.#peak, usedBytes), limitBytes: this.limitBytes, owners };
  }

  /** Bytes of the model's own, with what is kept for it elsewhere. */
  get #usedBytes(): number {
    return this.#kept.reduce((sum, { usedBytes }) => sum + usedBytes, this.#used);
  }

  #take(owner: Owner, size: number, what: string): Region | undefined {
    if (this.#isClosed)
      throw new FathomError("unavailable", "This model has been taken out of memory; load it again.", undefined, { isTransient: true });
    const address = this.#space.take(size, what);
    if (address === undefined) return undefined;
    const region: Region = { owner, address, bytes: size };
    this.#live.add(region);
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + size);
    this.#used += size;
    this.#peak = Math.max(this.#peak, this.#usedBytes);
    return region;
  }

  /** Says what was missing, and what helps: a smaller model, a smaller request, or waiting. */
  #refusal(size: number, what: string, isModel: boolean): FathomError {
    const { limitBytes, usedBytes } = this.#space;
    const free = limitBytes - usedBytes;
    const numbers =
      `No room for ${what}: it needs ${mebibytes(size)}, and ${mebibytes(free)} of the memory limit of ${mebibytes(limitBytes)} ` +
      `are free${free >= size ? ", but not in one piece" : ""}.`;
    if (isModel)
      return new FathomError("out_of_memory", `${numbers} Raise the limit, or use a model of fewer weights or a smaller quantisation.`);
    const alone = limitBytes - this.#modelBytes() - (this.#sharing?.fixedBytes ?? 0);
    if (size > alone)
      return new TooLargeError(`${numbers} Beside the model there are ${mebibytes(alone)}: ask for a shorter context or fewer iterations.`);
    const advice = "Ask for a shorter context or fewer iterations, or wait until other requests end.";
    return new FathomError("out_of_memory", `${numbers} ${advice}`, undefined, { isTransient: true });
  }

  /** What is never given back: all but sequences. */
  #modelBytes(): number {
    const ofSequences: readonly Owner[] = ["kv cache", "rows", "prefixes"];
    return ofSequences.reduce((left, owner) => left - (this.#owned.get(owner) ?? 0), this.#used);
  }
}

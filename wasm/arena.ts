/**
 * One linear memory and a ledger of who owns which of its bytes. Allocation is first fit over a list of free gaps that
 * join again when freed, so sequences may come and go forever. Memory grows page by page, never past the limit, and
 * a request that does not fit is refused before anything is taken. Not a general allocator: regions are few and large.
 */
import type { MemoryLedger } from "../engine/port/backend.ts";
import { FathomError, TooLargeError } from "../engine/errors.ts";
import { FreeList } from "../engine/port/free-list.ts";

export type Owner = "module" | "weights" | "kv cache" | "rows" | "prefixes" | "scratch" | "tables";

export interface Region {
  owner: Owner;
  /** Byte offset in the memory, a multiple of 64. */
  readonly address: number;
  /** A multiple of 64. */
  readonly bytes: number;
}

const PAGE_BYTES = 65536;
/** A cache line: every region starts on one. */
const ALIGN_BYTES = 64;

export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly limitBytes: number;
  readonly #owned = new Map<Owner, number>();
  readonly #live = new Set<Region>();
  /** Unused stretches below #top. */
  readonly #gaps = new FreeList();
  /** End of the highest region; the memory above is unused. */
  #top = 0;
  #used = 0;
  #peak = 0;
  #bytes: Uint8Array<ArrayBuffer>;
  #floats: Float32Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;

  /**
   * @param limitBytes most bytes that the memory may ever have; rounded down to whole pages
   * @param isShared whether other threads may have it, too [default false]
   */
  constructor(limitBytes: number, isShared = false) {
    const pages = Math.floor(limitBytes / PAGE_BYTES);
    if (!(pages >= 1))
      throw new FathomError("invalid_request", `A memory limit of ${limitBytes} bytes is below one page of ${PAGE_BYTES}.`, "limitBytes");
    this.memory = createMemory(Math.min(pages, 65535), isShared);
    this.limitBytes = Math.min(pages, 65535) * PAGE_BYTES;
    const buffer = this.memory.buffer as ArrayBuffer;
    this.#bytes = new Uint8Array(buffer);
    this.#floats = new Float32Array(buffer);
    this.#words = new Uint32Array(buffer);
  }

  /** The whole memory, in the current buffer: do not keep it across an allocation. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** The whole memory as f32; index = address / 4. */
  get floats(): Float32Array<ArrayBuffer> {
    return this.#floats;
  }

  /** The whole memory as u32; index = address / 4. */
  get words(): Uint32Array<ArrayBuffer> {
    return this.#words;
  }

  /** Bytes that a region of this size really takes. */
  static sizeOf(bytes: number): number {
    return Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
  }

  /** A region of the model's own. @throws {FathomError} out_of_memory, before anything is changed */
  allocate(owner: Owner, bytes: number, what: string): Region {
    const size = Math.max(Arena.sizeOf(bytes), ALIGN_BYTES);
    const address = this.#gaps.take(size) ?? this.#extend(size, what);
    const region: Region = { owner, address, bytes: size };
    this.#live.add(region);
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + size);
    this.#used += size;
    this.#peak = Math.max(this.#peak, this.#used);
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
      for (const [owner, bytes] of wanted) regions.push(this.allocate(owner, bytes, what));
      return regions;
    } catch (error) {
      for (const region of regions) this.free(region);
      this.#peak = peak;
      if (error instanceof FathomError && error.isTransient) throw error; // the host's, which no limit explains
      const size = wanted.reduce((sum, [, bytes]) => sum + Arena.sizeOf(bytes), 0);
      throw this.#refusal(size, what, false, error);
    }
  }

  /** Freeing a region twice is a mistake of the caller and does nothing. */
  free(region: Region): void {
    if (!this.#live.delete(region)) return;
    this.#owned.set(region.owner, this.#owned.get(region.owner)! - region.bytes);
    this.#used -= region.bytes;
    this.#gaps.give(region.address, region.bytes);
    this.#top -= this.#gaps.cut(this.#top);
  }

  /** Counts a region under another owner. */
  reassign(region: Region, owner: Owner): void {
    if (!this.#live.has(region)) return;
    this.#owned.set(region.owner, this.#owned.get(region.owner)! - region.bytes);
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + region.bytes);
    region.owner = owner;
  }

  ledger(): MemoryLedger {
    const owners = Object.fromEntries([...this.#owned].filter(([, bytes]) => bytes > 0));
    return { usedBytes: this.#used, peakBytes: this.#peak, limitBytes: this.limitBytes, owners };
  }

  /** A new address above #top, growing the memory if need be. */
  #extend(size: number, what: string): number {
    const address = this.#top;
    const end = address + size;
    if (end > this.limitBytes) throw this.#refusal(size, what, true);
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) this.#grow(missing, size, what);
    this.#top = end;
    return address;
  }

  #grow(pages: number, size: number, what: string): void {
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new FathomError(
        "out_of_memory",
        `The host has no more memory for ${what}: Wasm memory of ${mebibytes(this.memory.buffer.byteLength)} was to grow by ` +
          `${mebibytes(size)}, within its limit of ${mebibytes(this.limitBytes)}. Free memory on this machine, or use a smaller model.`,
        undefined,
        { cause, isTransient: true },
      );
    }
    const buffer = this.memory.buffer as ArrayBuffer;
    this.#bytes = new Uint8Array(buffer);
    this.#floats = new Float32Array(buffer);
    this.#words = new Uint32Array(buffer);
  }

  /** Says what was missing, and what helps: a smaller model, a smaller request, or waiting. */
  #refusal(size: number, what: string, isModel: boolean, cause?: unknown): FathomError {
    const free = this.limitBytes - this.#used;
    const numbers =
      `No room for ${what}: it needs ${mebibytes(size)}, and ${mebibytes(free)} of the memory limit of ${mebibytes(this.limitBytes)} ` +
      `are free${free >= size ? ", but not in one piece" : ""}.`;
    if (isModel)
      return new FathomError("out_of_memory", `${numbers} Raise the limit, or use a model of fewer weights or a smaller quantisation.`);
    const alone = this.limitBytes - this.#modelBytes();
    if (size > alone)
      return new TooLargeError(
        `${numbers} Beside the model there are ${mebibytes(alone)}: ask for a shorter context or fewer iterations.`,
        undefined,
        { cause },
      );
    const advice = "Ask for a shorter context or fewer iterations, or wait until other requests end.";
    return new FathomError("out_of_memory", `${numbers} ${advice}`, undefined, { cause, isTransient: true });
  }

  /** What is never given back: all but sequences. */
  #modelBytes(): number {
    const ofSequences: readonly Owner[] = ["kv cache", "rows", "prefixes"];
    return ofSequences.reduce((left, owner) => left - (this.#owned.get(owner) ?? 0), this.#used);
  }
}

/** Some hosts refuse to set so many addresses aside: then memory without a maximum of its own, kept to it here. */
function createMemory(maximum: number, shared: boolean): WebAssembly.Memory {
  if (shared) return new WebAssembly.Memory({ initial: 1, maximum, shared });
  try {
    return new WebAssembly.Memory({ initial: 1, maximum });
  } catch {
    return new WebAssembly.Memory({ initial: 1 });
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(2)} MiB`;
}

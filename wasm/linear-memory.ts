/**
 * One linear memory and its unused stretches. Allocation is first fit over a list of free gaps that join again when given
 * back, so sequences and models may come and go forever. Memory grows page by page, never past the limit. Not here: whose
 * the bytes are (arena.ts).
 */
import { FathomError } from "../engine/errors.ts";
import { FreeList } from "../engine/port/free-list.ts";
import type { Reclaimable } from "../engine/port/reclaimable.ts";

const PAGE_BYTES = 65536;

export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly limitBytes: number;
  /** Unused stretches below #top. */
  readonly #gaps = new FreeList();
  /** End of the highest stretch in use; the memory above is unused. */
  #top = 0;
  #used = 0;
  /** What is kept elsewhere in the host's memory within this one's limit. */
  readonly kept = new Set<Reclaimable>();
  #bytes: Uint8Array<ArrayBuffer>;
  #floats: Float32Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;

  /**
   * @param limitBytes most bytes that the memory may ever have; rounded down to whole pages
   * @param isShared whether other threads may have it, too
   */
  constructor(limitBytes: number, isShared: boolean) {
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

  /** Bytes that are in use, with what is kept elsewhere. */
  get usedBytes(): number {
    let sum = this.#used;
    for (const { usedBytes } of this.kept) sum += usedBytes;
    return sum;
  }

  /**
   * Takes a stretch, for which what is kept elsewhere gives way.
   * @returns its address; undefined, with nothing changed, where the limit leaves no room in one piece
   * @throws {FathomError} out_of_memory where the host has no more memory
   */
  take(bytes: number, what: string): number | undefined {
    for (const kept of this.kept) kept.reclaim(this.usedBytes + bytes - this.limitBytes);
    const address = this.#gaps.take(bytes) ?? this.#extend(bytes, what);
    if (address !== undefined) this.#used += bytes;
    return address;
  }

  /** Gives a stretch back. */
  give(address: number, bytes: number): void {
    this.#used -= bytes;
    this.#gaps.give(address, bytes);
    this.#top -= this.#gaps.cut(this.#top);
  }

  /** A new address above #top, growing the memory if need be. */
  #extend(bytes: number, what: string): number | undefined {
    const address = this.#top;
    const end = address + bytes;
    if (end > this.limitBytes) return undefined;
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) this.#grow(missing, bytes, what);
    this.#top = end;
    return address;
  }

  #grow(pages: number, bytes: number, what: string): void {
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new FathomError(
        "out_of_memory",
        `The host has no more memory for ${what}: Wasm memory of ${mebibytes(this.memory.buffer.byteLength)} was to grow by ` +
          `${mebibytes(bytes)}, within its limit of ${mebibytes(this.limitBytes)}. Free memory on this machine, or use a smaller model.`,
        undefined,
        { cause, isTransient: true },
      );
    }
    const buffer = this.memory.buffer as ArrayBuffer;
    this.#bytes = new Uint8Array(buffer);
    this.#floats = new Float32Array(buffer);
    this.#words = new Uint32Array(buffer);
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

export function mebibytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(2)} MiB`;
}

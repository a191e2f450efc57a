/**
 * One growing GPU buffer cut into regions, so that rows of different sequences can be reached from one binding; or several
 * that grow and are cut alike. Growing moves the bytes to larger buffers; regions keep their offsets.
 */
/// <reference types="@webgpu/types" />
import { FreeList } from "../engine/port/free-list.ts";
import type { Device, Owner } from "./device.ts";

/** Bytes that growing buffers begin with: room for the logs of a chunk, and for the words of a context or two. */
export const FIRST_BYTES = 1 << 16;

/** A stretch of a buffer, in bytes. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

const ALIGN = 256;

/** What `take` gives; where it fails, `undo` gives back what was taken before it. */
export function undoing<T>(take: () => T, undo: () => void): T {
  try {
    return take();
  } catch (error) {
    undo();
    throw error;
  }
}

export class Arena {
  readonly #device: Device;
  readonly #owner: Owner;
  readonly #what: string;
  readonly #moved: (buffer: GPUBuffer, part: number) => void;
  #buffers: readonly GPUBuffer[];
  readonly #free = new FreeList();

  /**
   * @param bytes to begin with
   * @param moved hears of each buffer now, and whenever it is replaced
   * @param parts buffers; a region lies in all of them
   */
  constructor(device: Device, owner: Owner, what: string, bytes: number, moved: (buffer: GPUBuffer, part: number) => void, parts = 1) {
    this.#device = device;
    this.#owner = owner;
    this.#what = what;
    this.#moved = moved;
    const first = Math.min(bytes, Math.floor(device.largestBuffer / ALIGN) * ALIGN);
    this.#buffers = Array.from({ length: parts }, () => device.storage(owner, first, what));
    this.#buffers.forEach(moved);
    this.#free.give(0, this.buffer.size);
  }

  /** The buffer, or the first of several. */
  get buffer(): GPUBuffer {
    return this.#buffers[0]!;
  }

  /** A region; what lies in it is undefined. @throws {FathomError} out_of_memory, with nothing changed */
  allocate(bytes: number): Region {
    const size = Math.ceil(bytes / ALIGN) * ALIGN;
    let offset = this.#free.take(size);
    if (offset === undefined) {
      this.#grow(size);
      offset = this.#free.take(size)!;
    }
    return { offset, bytes: size };
  }

  free({ offset, bytes }: Region): void {
    this.#free.give(offset, bytes);
  }

  #grow(bytes: number): void {
    const old = this.buffer;
    const needed = old.size + bytes - this.#free.tail(old.size);
    // at least twice the old size, unless the device has no buffer that large
    const size = Math.max(needed, Math.min(2 * old.size, Math.floor(this.#device.largestBuffer / ALIGN) * ALIGN));
    this.#device.ensureRoom(size, this.#what);
    // one after the other, so that no more than one of them is there twice
    this.#device.ensureTotal(size + (this.#buffers.length - 1) * (size - old.size), this.#what);
    this.#buffers = this.#buffers.map((buffer, part) => {
      const larger = this.#device.storage(this.#owner, size, this.#what);
      this.#device.submit((encoder) => encoder.copyBufferToBuffer(buffer, 0, larger, 0, buffer.size));
      this.#device.destroy(buffer);
      this.#moved(larger, part);
      return larger;
    });
    this.#free.give(old.size, size - old.size);
  }
}

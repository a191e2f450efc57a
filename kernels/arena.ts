/**
 * One growing GPU buffer cut into regions, so that rows of different sequences can be reached from one binding.
 * Growing moves the bytes to a larger buffer; regions keep their offsets.
 */
/// <reference types="@webgpu/types" />
import type { Device, Owner } from "./device.ts";

/** In bytes. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

const ALIGN = 256;

export class Arena {
  readonly #device: Device;
  readonly #owner: Owner;
  readonly #what: string;
  readonly #moved: (buffer: GPUBuffer) => void;
  #buffer: GPUBuffer;
  /** Ascending, never adjacent to each other. */
  #free: Region[];

  /**
   * @param bytes to begin with
   * @param moved hears of the buffer now, and whenever it is replaced
   */
  constructor(device: Device, owner: Owner, what: string, bytes: number, moved: (buffer: GPUBuffer) => void) {
    this.#device = device;
    this.#owner = owner;
    this.#what = what;
    this.#moved = moved;
    this.#buffer = device.storage(owner, bytes, what);
    moved(this.#buffer);
    this.#free = [{ offset: 0, bytes: this.#buffer.size }];
  }

  get buffer(): GPUBuffer {
    return this.#buffer;
  }

  /** A region; what lies in it is undefined. @throws {FathomError} out_of_memory, with nothing changed */
  allocate(bytes: number): Region {
    const size = Math.ceil(bytes / ALIGN) * ALIGN;
    let at = this.#free.findIndex((region) => region.bytes >= size);
    if (at < 0) {
      this.#grow(size);
      at = this.#free.length - 1;
    }
    const { offset, bytes: room } = this.#free[at]!;
    this.#free.splice(at, 1, ...(room > size ? [{ offset: offset + size, bytes: room - size }] : []));
    return { offset, bytes: size };
  }

  free(region: Region): void {
    const all = [...this.#free, region].sort((a, b) => a.offset - b.offset);
    this.#free = [];
    for (const { offset, bytes } of all) {
      const last = this.#free.at(-1);
      if (last !== undefined && last.offset + last.bytes === offset)
        this.#free[this.#free.length - 1] = { offset: last.offset, bytes: last.bytes + bytes };
      else this.#free.push({ offset, bytes });
    }
  }

  #grow(bytes: number): void {
    const old = this.#buffer;
    const tail = this.#free.at(-1);
    const needed = old.size + bytes - (tail !== undefined && tail.offset + tail.bytes === old.size ? tail.bytes : 0);
    // at least twice the old size, unless the device has no buffer that large
    const size = Math.max(needed, Math.min(2 * old.size, Math.floor(this.#device.largestBuffer / ALIGN) * ALIGN));
    this.#buffer = this.#device.storage(this.#owner, size, this.#what);
    this.#device.submit((encoder) => encoder.copyBufferToBuffer(old, 0, this.#buffer, 0, old.size));
    this.#device.destroy(old);
    this.#moved(this.#buffer);
    this.free({ offset: old.size, bytes: size - old.size });
  }
}

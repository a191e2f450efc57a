/**
 * A thin layer over the GPUDevice that the host hands in: buffers with a ledger, submits and read-backs with counters,
 * and device loss as a FathomError. It knows nothing of models.
 */
/// <reference types="@webgpu/types" />
import type { MemoryLedger } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";

/** GPUBufferUsage and GPUMapMode, globals that not every host has. */
const USAGE = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;
const MAP_READ = 1;

export type Owner = "weights" | "rows" | "kv cache" | "results";

/** What has been asked of the device so far. */
export interface DeviceActivity {
  dispatches: number;
  submits: number;
  readBacks: number;
}

/** A part of a buffer, in bytes. */
export interface Range {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

export class Device {
  readonly gpu: GPUDevice;
  readonly activity: DeviceActivity = { dispatches: 0, submits: 0, readBacks: 0 };
  readonly #limitBytes: number;
  readonly #largestBuffer: number;
  readonly #sizes = new Map<GPUBuffer, { owner: Owner; bytes: number }>();
  readonly #idle: GPUBuffer[] = [];
  #usedBytes = 0;
  #peakBytes = 0;
  #failure: FathomError | undefined;

  /** @param largestBuffer most bytes of a buffer, where that is less than the device's own limits */
  constructor(gpu: GPUDevice, limitBytes: number, largestBuffer = Infinity) {
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
    this.gpu = gpu;
    this.#limitBytes = limitBytes;
    this.#largestBuffer = Math.floor(Math.min(largestBuffer, maxStorageBufferBindingSize, maxBufferSize) / 4) * 4;
    void gpu.lost.then(({ message, reason }) =>
      this.#fail(new FathomError("unavailable", `The GPU device was lost (${message || reason}).`)),
    );
  }

  /** @throws {FathomError} unavailable, out_of_memory: what went wrong on the device since it was made */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Largest storage buffer, in bytes. */
  get largestBuffer(): number {
    return this.#largestBuffer;
  }

  hasRoom(bytes: number): boolean {
    return bytes <= this.largestBuffer && this.#usedBytes + bytes <= this.#limitBytes;
  }

  /** @throws {FathomError} out_of_memory */
  ensureRoom(bytes: number, what: string): void {
    if (bytes > this.largestBuffer)
      throw new FathomError(
        "out_of_memory",
        `${what}: ${bytes} bytes are needed, but this GPU device allows buffers of ${this.largestBuffer}.`,
      );
    this.ensureTotal(bytes, what);
  }

  /** Room for bytes that will lie in several buffers. @throws {FathomError} out_of_memory */
  ensureTotal(bytes: number, what: string): void {
    if (this.#usedBytes + bytes <= this.#limitBytes) return;
    const reason = `${this.#usedBytes} of the ${this.#limitBytes} bytes allowed on the GPU are in use`;
    throw new FathomError("out_of_memory", `${what}: ${bytes} bytes are needed, but ${reason}.`);
  }

  /** A zeroed storage buffer. @throws {FathomError} out_of_memory */
  storage(owner: Owner, bytes: number, what: string): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    this.ensureRoom(size, what);
    this.gpu.pushErrorScope("out-of-memory");
    const buffer = this.gpu.createBuffer({ label: what, size, usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget });
    void this.gpu.popErrorScope().then(
      (error) =>
        error && this.#fail(new FathomError("out_of_memory", `The GPU has no room for ${what} of ${size} bytes: ${error.message}`)),
      () => undefined, // a lost device tells so elsewhere
    );
    this.#sizes.set(buffer, { owner, bytes: size });
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return buffer;
  }

  uniform(words: Uint32Array): GPUBuffer {
    const buffer = this.gpu.createBuffer({ size: Math.ceil(words.byteLength / 16) * 16, usage: USAGE.uniform | USAGE.copyTarget });
    this.write(buffer, 0, words);
    return buffer;
  }

  destroy(buffer: GPUBuffer): void {
    this.#usedBytes -= this.#sizes.get(buffer)?.bytes ?? 0;
    this.#sizes.delete(buffer);
    buffer.destroy();
  }

  write(buffer: GPUBuffer, offset: number, data: Uint32Array | Float32Array | Uint8Array): void {
    this.gpu.queue.writeBuffer(buffer, offset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Records commands and submits them. @throws {FathomError} as `check` */
  submit(record: (encoder: GPUCommandEncoder) => void): void {
    this.check();
    const encoder = this.gpu.createCommandEncoder();
    record(encoder);
    this.gpu.queue.submit([encoder.finish()]);
    this.activity.submits++;
  }

  /**
   * Records commands and submits them, then copies what ranges hold by then, one after the other. One submit, one
   * read-back; work handed in later cannot change what is read.
   * @throws {FathomError} as `check`
   */
  async read(ranges: readonly Range[], record?: (encoder: GPUCommandEncoder) => void): Promise<ArrayBuffer> {
    this.check();
    const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
    const target = this.#staging(bytes);
    this.submit((encoder) => {
      record?.(encoder);
      let at = 0;
      for (const range of ranges) {
        encoder.copyBufferToBuffer(range.buffer, range.offset, target, at, range.bytes);
        at += range.bytes;
      }
    });
    return this.#map(target, bytes);
  }

  memory(): MemoryLedger {
    const owners: Record<string, number> = {};
    for (const { owner, bytes } of this.#sizes.values()) owners[owner] = (owners[owner] ?? 0) + bytes;
    return { usedBytes: this.#usedBytes, peakBytes: this.#peakBytes, limitBytes: this.#limitBytes, owners };
  }

  #staging(bytes: number): GPUBuffer {
    const found = this.#idle.findIndex((buffer) => buffer.size >= bytes);
    if (found >= 0) return this.#idle.splice(found, 1)[0]!;
    this.#idle.pop()?.destroy();
    return this.gpu.createBuffer({ label: "read-back", size: Math.ceil(bytes / 256) * 256, usage: USAGE.mapRead | USAGE.copyTarget });
  }

  async #map(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    this.activity.readBacks++;
    try {
      await buffer.mapAsync(MAP_READ, 0, bytes);
    } catch (error) {
      this.check();
      throw new FathomError("unavailable", `The GPU gave no answer: ${(error as Error).message}`, undefined, { cause: error });
    }
    this.check();
    const copy = buffer.getMappedRange(0, bytes).slice(0);
    buffer.unmap();
    this.#idle.push(buffer);
    return copy;
  }

  #fail(error: FathomError): void {
    this.#failure ??= error;
  }
}

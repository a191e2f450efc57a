/**
 * A step is one dispatch with everything but its buffers' sizes decided; a program is a list of them. Records steps into
 * a compute pass, and keeps their bind groups until a buffer that they name is replaced.
 */
/// <reference types="@webgpu/types" />
import type { Device } from "./device.ts";
import { bind, type Kernel } from "./shader.ts";

/** Rows that a matmul workgroup of the `many` kind takes. */
export const ROWS_TOGETHER = 8;

/** Which rows a program runs over: those of the call, those still in the core, those whose logits are asked for. */
export type ListName = "call" | "core" | "heads";

export type Program = readonly Step[];

/** The core of tokens made on the device: all iterations in one dispatch, or (undefined) one dispatch after the other. */
export type FusedCore = Program | undefined;

/** Buffers that are replaced when they grow, by a name of the host's. */
export class SharedBuffers {
  readonly #buffers = new Map<string, GPUBuffer>();
  #version = 0;

  set(name: string, buffer: GPUBuffer): void {
    this.#buffers.set(name, buffer);
    this.#version++;
  }

  get(name: string): GPUBuffer {
    return this.#buffers.get(name)!;
  }

  find(name: string): GPUBuffer | undefined {
    return this.#buffers.get(name);
  }

  /** A number that differs after every change. */
  get version(): number {
    return this.#version;
  }
}

export interface StepDescription {
  /** Kernel for one row a workgroup. */
  readonly one: Kernel;
  /** Kernel for ROWS_TOGETHER rows a workgroup; absent where rows never share one. */
  readonly many?: Kernel;
  /** Buffers of the step alone, parameters and weights, by the shader's names. */
  readonly own: Readonly<Record<string, GPUBuffer>>;
  /** The shader's name -> the shared buffer's. */
  readonly shared: Readonly<Record<string, string>>;
  /** Workgroups a row (or group of rows) in x, rows in y; absent: rows in x. */
  readonly width?: number;
}

export class Step {
  readonly #description: StepDescription;
  #version = -1;
  #one: GPUBindGroup | undefined;
  #many: GPUBindGroup | undefined;

  constructor(description: StepDescription) {
    this.#description = description;
  }

  record(device: Device, shared: SharedBuffers, pass: GPUComputePassEncoder, rows: number): void {
    const { one, many, width } = this.#description;
    if (this.#version !== shared.version) {
      this.#one = undefined;
      this.#many = undefined;
      this.#version = shared.version;
    }
    const together = many !== undefined && rows > 1;
    const kernel = together ? many : one;
    const group = together ? (this.#many ??= this.#bind(device, shared, many)) : (this.#one ??= this.#bind(device, shared, one));
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, group);
    if (width === undefined) pass.dispatchWorkgroups(rows);
    else pass.dispatchWorkgroups(width, together ? Math.ceil(rows / ROWS_TOGETHER) : rows);
    device.activity.dispatches++;
  }

  #bind(device: Device, shared: SharedBuffers, kernel: Kernel): GPUBindGroup {
    const buffers: Record<string, GPUBuffer> = { ...this.#description.own };
    for (const [name, source] of Object.entries(this.#description.shared)) buffers[name] = shared.get(source);
    return bind(device.gpu, kernel, buffers);
  }
}

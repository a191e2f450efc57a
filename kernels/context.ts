/**
 * What the parts of the backend share: the device, its buffers, the model's programs.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import type { Device } from "./device.ts";
import type { StateLayout } from "./layout.ts";
import type { RowPool } from "./pool.ts";
import type { SharedBuffers, Step } from "./program.ts";
import type { Programs } from "./programs.ts";

export interface Context {
  readonly config: ModelConfig;
  readonly device: Device;
  readonly shared: SharedBuffers;
  readonly pool: RowPool;
  /** Words of positions, and logs of chunks in the making. */
  readonly steps: Arena;
  readonly programs: Programs;
  readonly states: StateLayout;
}

/** A program, over so many rows of the list that it names. */
export type Run = readonly [program: readonly Step[], rows: number];

/** Records programs into one compute pass. */
export function recordRuns({ device, shared }: Context, encoder: GPUCommandEncoder, runs: readonly Run[]): void {
  const pass = encoder.beginComputePass();
  for (const [program, rows] of runs) if (rows > 0) for (const step of program) step.record(device, shared, pass, rows);
  pass.end();
}

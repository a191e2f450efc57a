/**
 * Where a model's time goes: every kernel of a backend timed call by call.
 */
import type { WasmBackend } from "../wasm/backend.ts";

export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  /** Milliseconds of all calls. */
  readonly ms: number;
}

/**
 * Runs `work` with a clock around every kernel.
 * The clock itself costs some 40 ns a call, so small kernels look a little slower than they are.
 */
export function profileKernels(backend: WasmBackend, work: () => void): KernelTime[] {
  const times = new Map<string, { calls: number; ms: number }>();
  const { run, multiply } = backend.kernels;
  const kernels = backend.kernels as { run: object; multiply: object };
  kernels.run = timed(run, "", times);
  kernels.multiply = timed(multiply, "multiply ", times);
  try {
    work();
  } finally {
    kernels.run = run;
    kernels.multiply = multiply;
  }
  return [...times].map(([kernel, time]) => ({ kernel, ...time })).sort((a, b) => b.ms - a.ms);
}

function timed(kernels: object, prefix: string, times: Map<string, { calls: number; ms: number }>): object {
  const wrapped = Object.entries(kernels as Record<string, unknown>).map(([name, kernel]): [string, unknown] => {
    if (typeof kernel !== "function") return [name, kernel];
    const time = { calls: 0, ms: 0 };
    const call = (...args: unknown[]): unknown => {
      if (time.calls === 0) times.set(prefix + name, time);
      const start = performance.now();
      const result: unknown = Reflect.apply(kernel, undefined, args);
      time.ms += performance.now() - start;
      time.calls++;
      return result;
    };
    return [name, call];
  });
  return Object.fromEntries(wrapped);
}

/**
 * Small ways to drive a backend through a golden case: teacher-forced calls, chunk by chunk, with the case's own
 * initial states (s0 by batch row and absolute position).
 */
import type { Row, Sequence } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { GoldenCase } from "./case.ts";

export function tensor(c: GoldenCase, name: string): Float32Array {
  const t = c.tensors.get(name);
  c.used.add(name);
  if (t === undefined) throw new Error(`the case has no tensor ${name}`);
  return t.data as Float32Array;
}

export function promptIds(c: GoldenCase, batchRow = 0): number[] {
  const ids = c.tensors.get("ids_b")!;
  const length = ids.shape[1]!;
  return [...ids.data.subarray(batchRow * length, (batchRow + 1) * length)];
}

/** The case's own; undefined where the model's recurrence begins with e. */
export function initialState(c: GoldenCase, batchRow: number, position: number): Float32Array | undefined {
  if (c.config.recurrence.start === "embedded") return undefined;
  const { shape, data } = c.tensors.get("s0")!;
  const width = shape[2]!;
  const at = (batchRow * shape[1]! + position) * width;
  return (data as Float32Array).slice(at, at + width);
}

export function open(c: GoldenCase, iterations: number, cache = "full", capacity = 64): Sequence {
  return c.backend.openSequence({ capacity, maxIterations: Math.max(1, iterations), cache: parseCacheStrategy(cache) });
}

/** Rows for the next tokens of a sequence, with the case's initial states (or zeros). */
export async function begin(c: GoldenCase, sequence: Sequence, tokens: readonly number[], batchRow = 0, zero = false): Promise<Row[]> {
  const start = sequence.length;
  return c.backend.prelude(tokens.map((token, i) => ({ sequence, token, state: zero ? undefined : initialState(c, batchRow, start + i) })));
}

/** Logits of all prompt positions, in chunks of the given sizes with the given iterations, [positions * vocab]. */
export async function teacherForced(
  c: GoldenCase,
  sequence: Sequence,
  chunks: readonly number[],
  iterations: readonly number[],
): Promise<Float32Array> {
  const ids = promptIds(c);
  const parts: Float32Array[] = [];
  let at = 0;
  for (const [i, size] of chunks.entries()) {
    const rows = await begin(c, sequence, ids.slice(at, at + size));
    for (let t = 0; t < iterations[i]!; t++) await c.backend.iterate(rows);
    parts.push(...(await c.backend.readout(rows, rows)));
    c.backend.release(rows);
    at += size;
  }
  return concat(parts);
}

export function concat(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

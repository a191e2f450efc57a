/**
 * Rows in flight, on the host, and how they become the graphs' inputs.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Row } from "../engine/port/backend.ts";
import type { OnnxSequence } from "./cache.ts";
import type { Feed } from "./session.ts";
import type { Stage } from "../engine/model/stage.ts";
import { cacheNames, HIDDEN } from "./signature.ts";
import { columnPositions, gatherPast, type LayerView, type Made } from "./view.ts";

export interface OnnxRow extends Row {
  readonly sequence: OnnxSequence;
  iterations: number;
  /** e, [width] */
  embedded: Float32Array;
  /** s_t, [width]; replaced, never written to. */
  state: Float32Array;
  /** s at the last `measure`, [width] */
  measured: Float32Array;
  /** Largest attention weight by position in the last core iteration, [position + 1]; where the sequence keeps it. */
  attention: Float32Array | undefined;
  /** The head's input, [width], where the row was a head of the last readout that it was in. */
  headInput?: Float32Array | undefined;
  /** ln_f of a state that was read out, [width] each. */
  normalised?: { readonly of: Float32Array; readonly latent: Float32Array };
}

export function int32(values: readonly number[]): Feed {
  return { data: Int32Array.from(values), count: values.length };
}

/** One buffer of every row, [rows, width]. */
export function stack(rows: readonly OnnxRow[], read: (row: OnnxRow) => Float32Array): Feed {
  const [first] = rows;
  if (first === undefined || rows.length === 1) return { data: first === undefined ? new Float32Array() : read(first), count: rows.length };
  const width = read(first).length;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => data.set(read(row), i * width));
  return { data, count: rows.length };
}

/** Row i of a [rows, width] output, sharing its memory. */
export function part(output: Float32Array | undefined, i: number, width: number): Float32Array {
  return output!.subarray(i * width, (i + 1) * width);
}

/** Every layer's past entries and mask. */
export function cacheFeeds(entry: number, stage: Stage, views: readonly LayerView[], rows: number, made: Made): Record<string, Feed> {
  const feeds: Record<string, Feed> = {};
  views.forEach((view, layer) => {
    const names = cacheNames(layer);
    const { key, value } = gatherPast(entry, stage, view, made);
    feeds[names.pastKey] = { data: key, count: view.past.length };
    feeds[names.pastValue] = { data: value, count: view.past.length };
    feeds[names.mask] = { data: view.mask, count: rows };
  });
  return feeds;
}

/** Puts a core run's attention weights [rows, past + rows], by layer, where their positions are: the largest counts. */
export function keepAttention(
  rows: readonly OnnxRow[],
  views: readonly LayerView[],
  outputs: Readonly<Record<string, Float32Array>>,
): void {
  for (const row of rows) if (row.sequence.options.attention === true) row.attention = new Float32Array(row.position + 1);
  views.forEach((view, layer) => {
    const positions = columnPositions(view, rows);
    const shares = outputs[cacheNames(layer).attention]!;
    rows.forEach(({ attention }, i) =>
      positions.forEach((position, column) => {
        const at = i * positions.length + column;
        if (attention !== undefined && view.mask[at] !== HIDDEN32) attention[position] = Math.max(attention[position]!, shares[at]!);
      }),
    );
  });
}

/** HIDDEN as a mask holds it. */
const HIDDEN32 = Math.fround(HIDDEN);

/** What the core's graph reads of rows, beside positions and cache: of all that there is, what this model's graph takes. */
export function coreFeeds(config: ModelConfig, rows: readonly OnnxRow[]): Record<string, Feed> {
  const { injection, skipsAdapter } = config.recurrence;
  return {
    state: stack(rows, (row) => row.state),
    ...(injection === "adapter" && { embedded: stack(rows, (row) => row.embedded) }),
    ...(skipsAdapter && { iterations: int32(rows.map((row) => row.iterations)) }),
  };
}

/**
 * The family's operators in plain f32 TypeScript, one row at a time: what every kernel is checked against.
 * Written to be read beside the paper, not to be fast. Results are rounded to f32 when stored; sums run in f64.
 */

/** A weight matrix, y = x W^T. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns] f32; for quantised formats the values that the integers stand for. */
  readonly weights: Float32Array;
  /** Columns that share one int8 scale of the activations, for quantised weights; undefined = f32 activations. */
  readonly activationGroup: number | undefined;
}

/** y [rows] = W x [columns] */
export function linear(matrix: Matrix, input: Float32Array): Float32Array {
  const { rows, columns, weights, activationGroup } = matrix;
  const x = activationGroup === undefined ? input : roundActivations(input, activationGroup);
  const y = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let k = 0, at = r * columns; k < columns; k++, at++) sum += weights[at]! * x[k]!;
    y[r] = sum;
  }
  return y;
}

/** The given entries of W x, in their order. */
export function linearRows(matrix: Matrix, input: Float32Array, wanted: readonly number[]): Float32Array {
  const { columns, weights } = matrix;
  const only = new Float32Array(wanted.length * columns);
  wanted.forEach((row, i) => only.set(weights.subarray(row * columns, (row + 1) * columns), i * columns));
  return linear({ ...matrix, rows: wanted.length, weights: only }, input);
}

/** x as the integer kernels see it: int8 with one f32 scale a group, ties to even. */
function roundActivations(x: Float32Array, group: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let g = 0; g < x.length; g += group) {
    let largest = 0;
    for (let k = g; k < g + group; k++) largest = Math.max(largest, Math.abs(x[k]!));
    if (largest === 0) continue;
    const scale = Math.fround(largest / 127);
    const inverse = Math.fround(127 / largest);
    for (let k = g; k < g + group; k++) out[k] = scale * roundTiesToEven(Math.fround(x[k]! * inverse));
  }
  return out;
}

function roundTiesToEven(v: number): number {
  const floor = Math.floor(v);
  const rest = v - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** x * rsqrt(mean(x^2) + eps), rounded, then times the weight. */
export function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  let squares = 0;
  for (const v of x) squares += v * v;
  const factor = 1 / Math.sqrt(squares / x.length + eps);
  return x.map((v, i) => Math.fround(v * factor) * weight[i]!);
}

export function add(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((v, i) => v + b[i]!);
}

/** silu(gate) * up, where fc's output is [gate | up], each [mlpWidth]. */
export function siluGate(gateUp: Float32Array): Float32Array {
  const n = gateUp.length / 2;
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const g = gateUp[i]!;
    out[i] = (g / (1 + Math.exp(-g))) * gateUp[n + i]!;
  }
  return out;
}

/** cos and sin of position * frequency, [positions, headDim / 2] f32 each. */
export interface RotaryTable {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Rotates every head of x [heads * headDim] in place by the angles of one position. */
export function rotate(x: Float32Array, headDim: number, position: number, table: RotaryTable, pairs: "interleaved" | "half-split"): void {
  const half = headDim / 2;
  for (let head = 0; head < x.length; head += headDim)
    for (let j = 0; j < half; j++) {
      const c = table.cos[position * half + j]!;
      const s = table.sin[position * half + j]!;
      const i0 = head + (pairs === "interleaved" ? 2 * j : j);
      const i1 = pairs === "interleaved" ? i0 + 1 : i0 + half;
      const a = x[i0]!;
      const b = x[i1]!;
      x[i0] = a * c - b * s;
      x[i1] = b * c + a * s;
    }
}

/** What a row sees of one position: key and value, [kvHeads * headDim] f32 each. */
export interface Seen {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/**
 * Softmax attention of one row over what it sees. Query head h reads kv head floor(h * kvHeads / heads).
 * Returns [heads * headDim]. @param strongest receives each entry's largest weight over the heads, [seen] f32
 */
export function attend(query: Float32Array, seen: readonly Seen[], heads: number, kvHeads: number, strongest?: Float32Array): Float32Array {
  const headDim = query.length / heads;
  const out = new Float32Array(query.length);
  const scale = 1 / Math.sqrt(headDim);
  for (let h = 0; h < heads; h++) {
    const q = h * headDim;
    const kv = Math.floor((h * kvHeads) / heads) * headDim;
    const scores = seen.map(({ key }) => {
      let dot = 0;
      for (let i = 0; i < headDim; i++) dot += query[q + i]! * key[kv + i]!;
      return dot * scale;
    });
    const weights = softmax(scores);
    for (let i = 0; i < headDim; i++) {
      let sum = 0;
      for (let n = 0; n < seen.length; n++) sum += weights[n]! * seen[n]!.value[kv + i]!;
      out[q + i] = sum;
    }
    strongest?.forEach((w, n) => (strongest[n] = Math.max(w, weights[n]!)));
  }
  return out;
}

function softmax(scores: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(scores);
  let largest = -Infinity;
  for (const v of out) largest = Math.max(largest, v);
  let sum = 0;
  for (let i = 0; i < out.length; i++) sum += out[i] = Math.exp(out[i]! - largest);
  for (let i = 0; i < out.length; i++) out[i]! /= sum;
  return out;
}

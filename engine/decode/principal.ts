/**
 * Principal directions of a set of vectors, by power iteration with deflation. For pictures of latent paths: three
 * directions of some hundred states, not a numerical library.
 */

const ROUNDS = 200;
/** Directions whose variance is below this share are noise of the arithmetic. */
const NEGLIGIBLE = 1e-12;

export interface PrincipalDirections {
  /** Unit vectors, most variance first; fewer than asked for where the data have fewer. */
  readonly directions: readonly Float64Array[];
  /** Share of the variance along each. */
  readonly explained: readonly number[];
  readonly mean: Float64Array;
}

export function principalDirections(vectors: readonly ArrayLike<number>[], count: number): PrincipalDirections {
  const width = vectors[0]?.length ?? 0;
  const mean = new Float64Array(width);
  for (const v of vectors) for (let i = 0; i < width; i++) mean[i]! += v[i]! / vectors.length;
  const centred = vectors.map((v) => Float64Array.from(v, (x, i) => x - mean[i]!));
  const total = centred.reduce((sum, v) => sum + dot(v, v), 0);
  const directions: Float64Array[] = [];
  const explained: number[] = [];
  const most = total > 0 ? Math.min(count, width) : 0;
  for (let d = 0; d < most; d++) {
    let direction = unit(centred.reduce((longest, v) => (dot(v, v) > dot(longest, longest) ? v : longest)));
    for (let round = 0; round < ROUNDS; round++) {
      const next = new Float64Array(width);
      for (const v of centred) {
        const along = dot(v, direction);
        for (let i = 0; i < width; i++) next[i]! += along * v[i]!;
      }
      direction = unit(next);
    }
    const variance = centred.reduce((sum, v) => sum + dot(v, direction) ** 2, 0);
    if (!(variance > total * NEGLIGIBLE)) break;
    directions.push(direction);
    explained.push(variance / total);
    for (const v of centred) {
      const along = dot(v, direction);
      for (let i = 0; i < width; i++) v[i]! -= along * direction[i]!;
    }
  }
  return { directions, explained, mean };
}

/** Coordinates of a vector on the directions. */
export function project(vector: ArrayLike<number>, mean: Float64Array, directions: readonly Float64Array[]): number[] {
  const centred = Float64Array.from(vector, (v, i) => v - mean[i]!);
  return directions.map((direction) => dot(centred, direction));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function unit(v: Float64Array): Float64Array {
  const length = Math.sqrt(dot(v, v));
  return length === 0 ? v : v.map((x) => x / length);
}

/**
 * Minimises a smooth convex function of many variables by L-BFGS (Nocedal and Wright 2006, algorithm 7.5), with halving
 * steps. Deterministic. Pure. Not here: what is minimised (softmax-regression.ts).
 */

/** Gives the value at a point and writes the gradient there into `gradient`. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

/** Pairs of steps and changes of the gradient that curvature is told from. */
const MEMORY = 8;
/** Share of the decrease that a step must have of what its slope promises. */
const ARMIJO = 1e-4;
const HALVINGS = 20;

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly curvature: number;
}

/**
 * @param start is not changed
 * @param stillness largest element of the gradient at which the search ends
 */
export function minimise(objective: Objective, start: Float64Array, { iterations = 25, stillness = 3e-4 } = {}): Float64Array {
  let point = Float64Array.from(start);
  let gradient = new Float64Array(point.length);
  let value = objective(point, gradient);
  let pairs: readonly Pair[] = [];
  for (let i = 0; i < iterations && largest(gradient) > stillness; i++) {
    const direction = descent(gradient, pairs);
    const slope = dot(direction, gradient);
    if (!(slope < 0)) break;
    let length = pairs.length === 0 ? Math.min(1, 1 / largest(gradient)) : 1;
    const next = new Float64Array(point.length);
    const nextGradient = new Float64Array(point.length);
    let nextValue = Infinity;
    for (let halving = 0; halving <= HALVINGS; halving++, length /= 2) {
      for (let j = 0; j < next.length; j++) next[j] = point[j]! + length * direction[j]!;
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + ARMIJO * length * slope) break;
    }
    if (!(nextValue < value)) break;
    const step = next.map((v, j) => v - point[j]!);
    const change = nextGradient.map((v, j) => v - gradient[j]!);
    const curvature = dot(step, change);
    if (curvature > 0) pairs = [...pairs, { step, change, curvature }].slice(-MEMORY);
    [point, gradient, value] = [next, nextGradient, nextValue];
  }
  return point;
}

/** The two-loop recursion: the gradient, bent by the curvature that was met. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((v) => -v);
  const shares = pairs.toReversed().map(({ step, change, curvature }) => {
    const share = dot(step, direction) / curvature;
    add(direction, change, -share);
    return share;
  });
  const last = pairs.at(-1);
  const scale = last === undefined ? 1 : last.curvature / dot(last.change, last.change);
  for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  shares.reverse();
  for (const [i, { step, change, curvature }] of pairs.entries()) add(direction, step, shares[i]! - dot(change, direction) / curvature);
  return direction;
}

function add(to: Float64Array, what: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * what[i]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  return most;
}

/**
 * Arithmetic on latent states on the host, [width] f32 each.
 */

/** a * x + b * y; without y only a * x (the reference scales positions that have no old embedding, too). */
export function blend(x: Float32Array, a: number, y: Float32Array | undefined, b: number): Float32Array {
  return x.map((v, i) => a * v + (y === undefined ? 0 : b * y[i]!));
}

/** ||now - before|| / ||now|| */
export function relativeChange(now: Float32Array, before: Float32Array): number {
  let [distance, norm] = [0, 0];
  for (let i = 0; i < now.length; i++) {
    distance += (now[i]! - before[i]!) ** 2;
    norm += now[i]! ** 2;
  }
  return Math.sqrt(distance / norm);
}

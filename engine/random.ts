/**
 * Seeded random numbers by counter, not by sequence: the n-th number of a stream depends on (seed, stream, n) alone,
 * so the same seed gives the same answer whatever else runs beside it. Not for cryptography.
 */

/** A uniform number in [0, 1) from 53 bits. */
export function uniform(seed: number, stream: number, index: number): number {
  const high = hash(seed, stream, 2 * index) >>> 5;
  const low = hash(seed, stream, 2 * index + 1) >>> 6;
  return (high * 67108864 + low) / 9007199254740992;
}

/** 32 bits: two rounds of the murmur3 finaliser over the three words. */
function hash(a: number, b: number, c: number): number {
  let h = mix((a | 0) ^ 0x9e3779b9);
  h = mix(h ^ Math.imul(b | 0, 0x85ebca6b));
  h = mix(h ^ Math.imul(c | 0, 0xc2b2ae35) ^ Math.floor(c / 4294967296));
  return mix(h + 0x165667b1) >>> 0;
}

function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Normal numbers cut at three standard deviations, by Box-Muller with rejection; stream `position`. */
export function truncatedNormals(seed: number, position: number, count: number, std: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0, draw = 0; i < count; draw += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, position, draw)));
    const angle = 2 * Math.PI * uniform(seed, position, draw + 1);
    for (const z of [radius * Math.cos(angle), radius * Math.sin(angle)]) if (Math.abs(z) <= 3 && i < count) out[i++] = z * std;
  }
  return out;
}

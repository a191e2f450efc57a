/**
 * One row of the embedding, times the embedding's scale, out of the tiles that the tied head reads, too.
 */
import { Matrix } from "./records";

/** out = W[row] * scale from f32 tiles. */
export function embedF32(m: Matrix, row: i32, scale: f32, out: usize): void {
  const columns = m.columns;
  let p = m.weights + ((<usize>(row >> 4) * columns) << 6) + (<usize>(row & 15) << 2);
  for (const end = out + (<usize>columns << 2); out < end; out += 4, p += 64) f32.store(out, f32.load(p) * scale);
}

/** out = W[row] * scale from q8 tiles. */
export function embedQ8(m: Matrix, row: i32, scale: f32, out: usize): void {
  const columns = m.columns, group = m.group;
  const blockBytes = (<usize>group << 4) + 64;
  const r = row & 15;
  let block = m.weights + <usize>(row >> 4) * <usize>(columns / group) * blockBytes;
  for (let g = columns / group; g > 0; g--, block += blockBytes) {
    const s = f32.load(block + (<usize>group << 4) + (<usize>r << 2));
    const quad = block + (<usize>r << 2);
    for (let k = 0; k < group; k++, out += 4) f32.store(out, s * <f32>i32.load8_s(quad + (<usize>(k >> 2) << 6) + (k & 3)) * scale);
  }
}

/** out = W[row] * scale from q4 tiles. */
export function embedQ4(m: Matrix, row: i32, scale: f32, out: usize): void {
  const columns = m.columns, group = m.group;
  const blockBytes = (<usize>group << 3) + 64;
  const r = row & 15;
  const shift = r >> 3 << 2;
  let block = m.weights + <usize>(row >> 4) * <usize>(columns / group) * blockBytes;
  for (let g = columns / group; g > 0; g--, block += blockBytes) {
    const s = f32.load(block + (<usize>group << 3) + (<usize>r << 2));
    const quad = block + (<usize>(r & 7) << 2);
    for (let k = 0; k < group; k++, out += 4) {
      const nibble = (i32.load8_u(quad + (<usize>(k >> 2) << 5) + (k & 3)) >> shift) & 15;
      f32.store(out, s * <f32>(nibble - 8) * scale);
    }
  }
}

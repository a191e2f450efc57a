@group(0) @binding(6) var<storage, read> rows: array<Row>; // [slots]
@group(0) @binding(7) var<storage, read_write> cache: array<f32>; // entries of all sequences
@group(0) @binding(8) var<storage, read_write> steps: array<u32>; // one a position of every sequence

fn finish(p: Product, place: Place, t: u32) {
  finish_qkv(p, place, t);
}

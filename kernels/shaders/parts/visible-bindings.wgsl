@group(0) @binding(0) var<uniform> params: Attend;
@group(0) @binding(1) var<storage, read> cache: array<f32>; // entries of all sequences
@group(0) @binding(2) var<storage, read> steps: array<u32>; // one a position of every sequence
@group(0) @binding(3) var<storage, read> list: array<u32>; // count, then slots or NONE
@group(0) @binding(4) var<storage, read> rows: array<Row>; // [slots]

const GROUPS = 1u;

@group(0) @binding(0) var<uniform> params: StageEnd;
@group(0) @binding(1) var<storage, read> vectors: array<f32>;
@group(0) @binding(2) var<storage, read_write> states: array<f32>; // [slots, STATE_STRIDE]
@group(0) @binding(3) var<storage, read> scratch: array<f32>; // [rows, params.stride]

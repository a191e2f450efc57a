// Inputs of quantised weights: CHUNK columns of each row as int8, four a word, with one f32 scale a group.
// scale = absmax / 127, integer = x * (127 / absmax), ties to even.
const CHUNK = select(4u, 2u, ROWS > 1u) * max(128u, THREADS);
const WORDS = CHUNK / 4u;
const HELD = ROWS * WORDS / THREADS; // words a thread
var<workgroup> peaks: array<f32, ROWS * WORDS>;
var<workgroup> packed: array<u32, ROWS * WORDS>;
var<workgroup> scales: array<f32, ROWS * WORDS / 8u>; // [ROWS, WORDS / 8], one a group
const SMALLEST = 1e-30; // below this 127 / absmax would not be finite

fn load_inputs(p: Product, place: Place, t: u32, k: u32) {
  var held: array<vec4<f32>, HELD>;
  for (var i = 0u; i < HELD; i++) {
    let m = i * THREADS + t;
    let r = m / WORDS;
    let column = k + 4u * (m % WORDS);
    if (column >= p.columns) {
      continue;
    }
    let v = vec4<f32>(
      input(p, place, r, column),
      input(p, place, r, column + 1u),
      input(p, place, r, column + 2u),
      input(p, place, r, column + 3u),
    );
    held[i] = v;
    let a = abs(v);
    peaks[m] = max(max(a.x, a.y), max(a.z, a.w));
  }
  workgroupBarrier();
  let words = p.group / 4u;
  for (var i = 0u; i < HELD; i++) {
    let m = i * THREADS + t;
    if (k + 4u * (m % WORDS) >= p.columns) {
      continue;
    }
    let first = m / words * words;
    var largest = 0.0;
    for (var j = 0u; j < words; j++) {
      largest = max(largest, peaks[first + j]);
    }
    var inverse = 0.0;
    if (largest >= SMALLEST) {
      inverse = 127.0 / largest;
    }
    packed[m] = pack_bytes(vec4<i32>(round(held[i] * inverse)));
    if (m == first) {
      scales[m / WORDS * (WORDS / 8u) + m % WORDS / words] = largest / 127.0;
    }
  }
  workgroupBarrier();
}

fn pack_bytes(v: vec4<i32>) -> u32 {
  let b = vec4<u32>(v) & vec4<u32>(255u);
  return b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u);
}

// Sum over a workgroup of 256; every thread gets it.
var<workgroup> tree: array<vec4<f32>, 256>;

fn reduce(v: vec4<f32>, t: u32) -> vec4<f32> {
  workgroupBarrier();
  tree[t] = v;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (t < half) {
      tree[t] += tree[t + half];
    }
    workgroupBarrier();
  }
  return tree[0];
}

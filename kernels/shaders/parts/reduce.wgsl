// Sum over a workgroup; every thread gets it, added up in the same order.
var<workgroup> terms: array<vec4<f32>, THREADS>;
var<workgroup> subtotals: array<vec4<f32>, 8>;

fn reduce(v: vec4<f32>, t: u32) -> vec4<f32> {
  workgroupBarrier();
  terms[t] = v;
  workgroupBarrier();
  if (t < 8u) {
    var sum = vec4<f32>(0.0);
    for (var i = t; i < THREADS; i += 8u) {
      sum += terms[i];
    }
    subtotals[t] = sum;
  }
  workgroupBarrier();
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < 8u; i++) {
    sum += subtotals[i];
  }
  return sum;
}

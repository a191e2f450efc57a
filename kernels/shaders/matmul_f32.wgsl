// y = x W^T, f32 weights: norms on x, a residual and the next norm's sums on y.
#include parts/rows.wgsl
#include parts/sources.wgsl
#include parts/product.wgsl
#include parts/stats.wgsl
#include parts/tiles-f32.wgsl
#include parts/matmul.wgsl
#include parts/input-float.wgsl
#include parts/write-scratch.wgsl
#include parts/multiply.wgsl

// y = x W^T, q8 weights and int8 activations: norms on x, a residual and the next norm's sums on y.
#include parts/rows.wgsl
#include parts/sources.wgsl
#include parts/product.wgsl
#include parts/stats.wgsl
#include parts/dot-packed.wgsl
#include parts/tiles-q8.wgsl
#include parts/matmul.wgsl
#include parts/input-int8.wgsl
#include parts/write-scratch.wgsl
#include parts/multiply.wgsl

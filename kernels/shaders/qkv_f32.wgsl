// q, k, v of a block, f32 weights: norms on the input, bias, rotary, and the new entry of the cache.
#include parts/rows.wgsl
#include parts/sources.wgsl
#include parts/product.wgsl
#include parts/stats.wgsl
#include parts/tiles-f32.wgsl
#include parts/matmul.wgsl
#include parts/input-float.wgsl
#include parts/slots.wgsl
#include parts/write-cache.wgsl
#include parts/finish-qkv.wgsl
#include parts/multiply.wgsl

// q, k, v of a block, q4 weights and int8 activations: norms on the input, bias, rotary, the new entry of the cache.
#include parts/rows.wgsl
#include parts/sources.wgsl
#include parts/product.wgsl
#include parts/stats.wgsl
#include parts/dot-packed.wgsl
#include parts/tiles-q4.wgsl
#include parts/matmul.wgsl
#include parts/input-int8.wgsl
#include parts/slots.wgsl
#include parts/write-cache.wgsl
#include parts/finish-qkv.wgsl
#include parts/multiply.wgsl

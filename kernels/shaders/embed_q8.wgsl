// Token to embedding, q8 weights, and the initial latent state.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/start.wgsl
#include parts/embed.wgsl
#include parts/element-q8.wgsl

// Token to embedding, f16 weights, and the initial latent state.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/start.wgsl
#include parts/embed.wgsl
#include parts/element-f16.wgsl

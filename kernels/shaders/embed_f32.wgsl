// Token to embedding, f32 weights, and the initial latent state.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/start.wgsl
#include parts/embed.wgsl
#include parts/element-f32.wgsl

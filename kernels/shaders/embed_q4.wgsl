// Token to embedding, q4 weights, and the initial latent state.
#include parts/rows.wgsl
#include parts/stats.wgsl
#include parts/states.wgsl
#include parts/reduce.wgsl
#include parts/start.wgsl
#include parts/embed.wgsl
#include parts/element-q4.wgsl

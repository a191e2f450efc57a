/**
 * Which unknown fields of config.json speak of what a model computes, told by the words in their names. Not here: the
 * fields that are known (config.ts).
 */

/** Words in names that are about what a model computes. */
const MATHEMATICS =
  /(?:^|_)(?:abacus|act|activations?|alibi|attn|attention|bidirectional|bias|biases|caps?|capping|causal|clip|clamp|deepnorm|emb|embd|embeds?|embeddings?|eps|epsilon|experts?|gates?|gated|gating|geglu|gelu|glu|hyper|injection|lora|masks?|masking|moe|mlp|multipliers?|mup|norms?|normali[sz]e|layernorm|rmsnorm|nope|noise|parallel|pe|pos|positional|positions?|quant|quantization|relu|residual|rezero|rope|rotary|scales?|scaled|scaling|shared?|sharing|shift|sinks?|sliding|softcap|softcapping|softmax|swiglu|temperature|theta|throttle|tied?|window|yarn)(?:_|$)/i;

/** Words that make such a name one about training, about how a library computes the same, or about a token's number. */
const BESIDE_IT =
  /(?:^|_)(?:dropout|pdrop|init|initializer|impl|implementation|loss|checkpoint|checkpointing|flash|sdpa|fused|fuse|backend|kernels?|compile)(?:_|$)|(?:tensor|model|data|pipeline|context|sequence)_parallel|_token_(?:id|ids|index)$/i;

const SCALES = /(?:^|_)(?:scale|scaling|multiplier|factor)(?:_|$)/i;

/**
 * Whether an unknown field must not be passed over: its name speaks of the mathematics and its value is none that switches
 * such things off.
 */
export function mustKnow(name: string, value: unknown): boolean {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").replaceAll("-", "_");
  if (!MATHEMATICS.test(words) || BESIDE_IT.test(words)) return false;
  const isOff = value === false || value === 0 || value === "" || value === "none" || (SCALES.test(words) && value === 1);
  return !isOff && !(typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

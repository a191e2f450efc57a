/**
 * config.json of the Huginn family -> a checked ModelConfig. Names here are short; messages name the file's own fields.
 * Not here: tensor shapes against this config (checkpoint.ts), the variant seen in the tensors (variant.ts).
 */
import { FathomError } from "../errors.ts";

/** How a block is put together; Huginn's is sandwich, interleaved, normAfterCore (SPEC of the family, "block"). */
export interface BlockLayout {
  /** sandwich: norms before and after each half, four a block. pre: one norm before each half, plain residual. */
  readonly norms: "sandwich" | "pre";
  /** Rotary pairs: (2j, 2j+1), or (j, j + headDim/2). */
  readonly rotary: "interleaved" | "half-split";
  /** Whether ln_f also stands between the last iteration and the coda. */
  readonly normAfterCore: boolean;
}

export interface ModelConfig {
  /** n_embd */
  readonly width: number;
  readonly heads: number;
  /** Key/value heads; equals `heads` in Huginn, fewer in grouped-query siblings. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** intermediate_size */
  readonly mlpWidth: number;
  readonly preludeLayers: number;
  readonly coreLayers: number;
  readonly codaLayers: number;
  readonly vocabSize: number;
  /** block_size: positions of the rotary table, the longest context in tokens. */
  readonly contextLength: number;
  readonly ropeBase: number;
  readonly ropeScaling: RopeScaling | undefined;
  readonly normEps: number;
  readonly qkBias: boolean;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** mean_recurrence: iterations when nobody says otherwise. */
  readonly meanRecurrence: number;
  /** Factor on embeddings, sqrt(width) in Huginn. */
  readonly embedScale: number;
  /** Standard deviation of an element of s_0 before truncation at three of it: sqrt(2/5) in Huginn. */
  readonly stateStd: number;
  readonly block: BlockLayout;
  readonly bosToken: number | undefined;
  readonly eosTokens: readonly number[];
}

/** Llama 3's frequency scaling (`rope_scaling` with rope_type llama3). */
export interface RopeScaling {
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  /** In tokens. */
  readonly originalContext: number;
}

/** Huginn's own blocks, and those of retrofitted Llama checkpoints of the same class (arXiv 2511.07384). */
const LAYOUTS: Readonly<Record<BlockLayout["norms"], BlockLayout>> = {
  sandwich: { norms: "sandwich", rotary: "interleaved", normAfterCore: true },
  pre: { norms: "pre", rotary: "half-split", normAfterCore: false },
};

/** Larger values are not models but mistakes; they keep every size product far below 2^53. */
const LARGEST = { width: 65536, layers: 1024, vocab: 1 << 22, context: 1 << 24 } as const;

type Json = Record<string, unknown>;

/**
 * Reads and checks config.json (already parsed).
 * @param tensorNames of the checkpoint: they tell which variant of the block it has. [default Huginn's]
 * @throws {FathomError} invalid_config, naming the field.
 */
export function parseConfig(json: unknown, tensorNames?: Iterable<string>): ModelConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new FathomError("invalid_config", "config.json must hold one JSON object.");
  const c = json as Json;
  refuseForeign(c);
  const block = LAYOUTS[tensorNames === undefined ? "sandwich" : normsOf([...tensorNames])];
  const isHuginn = block.norms === "sandwich";

  const width = integer(c, "n_embd", 1, LARGEST.width);
  const heads = integer(c, "num_attention_heads", 1, width, integer(c, "n_heads", 1, width, 0));
  const kvHeads = integer(c, "num_key_value_heads", 1, heads, heads);
  const headDim = integer(c, "head_dim", 2, width, width / heads);
  if (headDim * heads !== width)
    throw bad("head_dim", `${headDim} x ${heads} heads is not n_embd ${width}; give heads that divide the width`);
  if (headDim % 2 !== 0) throw bad("head_dim", `${headDim} is odd; rotary position needs an even head size`);
  if (heads % kvHeads !== 0) throw bad("num_key_value_heads", `${kvHeads} does not divide num_attention_heads ${heads}`);
  return {
    width,
    heads,
    kvHeads,
    headDim,
    mlpWidth: integer(c, "intermediate_size", 1, LARGEST.width * 8),
    preludeLayers: integer(c, "n_layers_in_prelude", 0, LARGEST.layers),
    coreLayers: integer(c, "n_layers_in_recurrent_block", 1, LARGEST.layers),
    codaLayers: integer(c, "n_layers_in_coda", 0, LARGEST.layers),
    vocabSize: integer(c, "vocab_size", 2, LARGEST.vocab),
    contextLength: integer(c, "block_size", 1, LARGEST.context),
    ropeBase: positive(c, "rope_base", positive(c, "rope_theta", 50000)),
    ropeScaling: ropeScaling(c),
    normEps: positive(c, "norm_eps", 1e-6),
    qkBias: boolean(c, "qk_bias", isHuginn),
    tiedHead: boolean(c, "tie_word_embeddings", boolean(c, "tie_embeddings", true)),
    meanRecurrence: integer(c, "mean_recurrence", 1, 65536, 32),
    embedScale: isHuginn ? Math.sqrt(width) : positive(object(c, "init_values"), "embed_scale", 1),
    stateStd: Math.sqrt(2 / 5),
    block,
    bosToken: tokenId(c, "bos_token_id"),
    eosTokens: tokenIds(c, "eos_token_id"),
  };
}

/** Values under which the family's formulas do not hold are refused rather than run wrongly. */
function refuseForeign(c: Json): void {
  const only: Record<string, readonly unknown[]> = {
    model_type: ["huginn_raven"],
    injection_type: ["linear"],
    state_init: ["like-init"],
    mlp_class_name: ["GatedMLP"],
    nonlin_name: ["SiLU"],
    bias: [false],
  };
  for (const [field, allowed] of Object.entries(only)) {
    const value = c[field];
    if (value !== undefined && !allowed.includes(value))
      throw bad(field, `${JSON.stringify(value)} is not supported; expected ${allowed.map((v) => JSON.stringify(v)).join(" or ")}`);
  }
}

/** Which norms a checkpoint's blocks have, by its tensor names. */
function normsOf(tensorNames: readonly string[]): BlockLayout["norms"] {
  const foreign = tensorNames.find((name) => /\.(q_norm|k_norm)\./.test(name));
  if (foreign !== undefined) throw bad("block", `the checkpoint has ${foreign}: blocks with norms on queries and keys are not supported`);
  const has = (norm: string): boolean => tensorNames.some((name) => name.endsWith(`.${norm}.weight`));
  return has("norm_1") && !has("norm_3") && !has("norm_4") ? "pre" : "sandwich";
}

function ropeScaling(c: Json): RopeScaling | undefined {
  if (c["rope_scaling"] === undefined || c["rope_scaling"] === null) return undefined;
  const scaling = object(c, "rope_scaling");
  const type = scaling["rope_type"] ?? scaling["type"];
  if (type === "default") return undefined;
  if (type !== "llama3") throw bad("rope_scaling", `type ${JSON.stringify(type)} is not supported; expected "llama3" or "default"`);
  return {
    factor: positive(scaling, "factor"),
    lowFreqFactor: positive(scaling, "low_freq_factor"),
    highFreqFactor: positive(scaling, "high_freq_factor"),
    originalContext: positive(scaling, "original_max_position_embeddings"),
  };
}

function bad(field: string, what: string): FathomError {
  return new FathomError("invalid_config", `config.json: ${field}: ${what}.`, field);
}

function integer(c: Json, field: string, min: number, max: number, fallback?: number): number {
  const value = c[field] ?? fallback;
  if (value === undefined) throw bad(field, `missing; expected a whole number from ${min} to ${max}`);
  if (typeof value !== "number" || !Number.isInteger(value) || ((value < min || value > max) && value !== fallback))
    throw bad(field, `${JSON.stringify(value)} is not a whole number from ${min} to ${max}`);
  return value;
}

function positive(c: Json, field: string, fallback?: number): number {
  const value = c[field] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
    throw bad(field, `${JSON.stringify(value)} is not a positive number`);
  return value;
}

function object(c: Json, field: string): Json {
  const value = c[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw bad(field, `${JSON.stringify(value)} is not an object`);
  return value as Json;
}

function boolean(c: Json, field: string, fallback: boolean): boolean {
  const value = c[field] ?? fallback;
  if (typeof value !== "boolean") throw bad(field, `${JSON.stringify(value)} is not true or false`);
  return value;
}

function tokenId(c: Json, field: string): number | undefined {
  const value = c[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw bad(field, `${JSON.stringify(value)} is not a token id`);
  return value;
}

function tokenIds(c: Json, field: string): number[] {
  const value = c[field];
  if (value === undefined || value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((id) => tokenId({ [field]: id }, field)!);
}

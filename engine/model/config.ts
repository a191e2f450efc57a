/**
 * config.json of the Huginn family, and the token ids of generation_config.json -> a checked ModelConfig. Names here are
 * short; messages name the file's own fields. Not here: which fields there are (fields/), tensor shapes against this
 * config (checkpoint.ts).
 */
import { FathomError } from "../errors.ts";
import { CONFIG } from "./fields/config.ts";
import { openFields, type FieldReader } from "./fields/field.ts";
import { GENERATION } from "./fields/generation.ts";
import { parseRope, type RopeScaling } from "./rope.ts";

/** How a block is put together; Huginn's is sandwich, interleaved, normAfterCore (arXiv 2502.05171, section 3). */
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
  /** block_size or max_position_embeddings: the longest context in tokens. */
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
  /** The pad token's id, for templates alone, as nothing is padded. */
  readonly padToken: number | undefined;
}

/** Huginn's own blocks, and those of retrofitted Llama checkpoints of the same class (arXiv 2511.07384). */
const LAYOUTS: Readonly<Record<BlockLayout["norms"], BlockLayout>> = {
  sandwich: { norms: "sandwich", rotary: "interleaved", normAfterCore: true },
  pre: { norms: "pre", rotary: "half-split", normAfterCore: false },
};

/** Numbers of Huginn's own vocabulary, which the converters of retrofitted checkpoints left in files of other vocabularies. */
const HUGINN_TOKENS: readonly number[] = [65504, 65505, 65508, 65509];

/** Deviation of the elements of Huginn's initial state, whose width is 5280; retrofitted checkpoints keep the number. */
const HUGINN_STATE_STD = Math.sqrt(2 / (5 * 5280));

/** How far a derived number in a file may be from its formula, as a share: it may have been rounded. */
const ROUNDING = 1e-3;

type Reader = FieldReader<(typeof CONFIG)["read"]>;

/**
 * Reads and checks config.json (already parsed).
 * @param tensorNames of the checkpoint: they tell which variant of the block it has. [default fathom_norms, else Huginn's]
 * @param generation generation_config.json, already parsed. [default none]
 * @throws {FathomError} invalid_config, naming the field.
 */
export function parseConfig(json: unknown, tensorNames?: Iterable<string>, generation: unknown = {}): ModelConfig {
  const r = openFields(CONFIG, json);
  const tensors = tensorNames === undefined ? undefined : [...tensorNames];
  const block = LAYOUTS[tensors === undefined ? (r.optional("fathom_norms") ?? "sandwich") : normsOf(tensors)];
  const isHuginn = block.norms === "sandwich";
  const vocabSize = r.required("vocab_size");
  const width = same(r, "n_embd", "hidden_size") ?? r.required("n_embd");
  return {
    width,
    ...headsOf(r, width),
    mlpWidth: r.required("intermediate_size"),
    preludeLayers: r.required("n_layers_in_prelude"),
    coreLayers: r.required("n_layers_in_recurrent_block"),
    codaLayers: r.required("n_layers_in_coda"),
    vocabSize,
    contextLength: contextOf(r, isHuginn),
    ...parseRope(r, isHuginn),
    normEps: same(r, "norm_eps", "rms_norm_eps") ?? 1e-6,
    qkBias: r.optional("qk_bias") ?? isHuginn,
    tiedHead: isTied(r, isHuginn ? undefined : tensors),
    meanRecurrence: r.optional("mean_recurrence") ?? 32,
    ...(isHuginn ? derivedScales(r, width, tensors !== undefined) : ownScales(r)),
    block,
    ...tokensOf(r, openFields(GENERATION, generation), vocabSize, isHuginn),
  };
}

/** Two names of one thing. */
function same<N extends keyof (typeof CONFIG)["read"]>(r: Reader, name: N, alias: N): ReturnType<typeof r.optional<N>> {
  const [own, other] = [r.optional(name), r.optional(alias)];
  if (own !== undefined && other !== undefined && own !== other)
    throw r.bad(alias, `${String(other)} contradicts ${name} ${String(own)}; remove the wrong one`);
  return own ?? other;
}

function headsOf(r: Reader, width: number): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const heads = same(r, "n_heads", "num_attention_heads");
  if (heads === undefined) throw r.bad("num_attention_heads", "missing; expected a whole number, or n_heads");
  const kvHeads = r.optional("num_key_value_heads") ?? heads;
  const headDim = r.optional("head_dim") ?? width / heads;
  if (headDim * heads !== width || !Number.isInteger(headDim))
    throw r.bad("head_dim", `${headDim} x ${heads} heads is not n_embd ${width}; give heads that divide the width`);
  if (headDim % 2 !== 0) throw r.bad("head_dim", `${headDim} is odd; rotary position needs an even head size`);
  if (heads % kvHeads !== 0) throw r.bad("num_key_value_heads", `${kvHeads} does not divide num_attention_heads ${heads}`);
  return { heads, kvHeads, headDim };
}

/** The converters of retrofitted checkpoints leave Huginn's block_size beside the true limit. */
function contextOf(r: Reader, isHuginn: boolean): number {
  const positions = r.optional("max_position_embeddings");
  if (!isHuginn) return positions ?? r.required("block_size");
  return Math.min(r.required("block_size"), positions ?? Infinity);
}

/** @param tensors of a retrofitted checkpoint: a head that is there is used, whatever the flags say */
function isTied(r: Reader, tensors: readonly string[] | undefined): boolean {
  if (tensors?.includes("lm_head.weight")) return false;
  return same(r, "tie_embeddings", "tie_word_embeddings") ?? true;
}

type Scales = Pick<ModelConfig, "embedScale" | "stateStd">;

/** Retrofitted checkpoints use the file's numbers. */
function ownScales(r: Reader): Scales {
  const embedScale = r.optional("init_values.embed_scale") ?? 1;
  return { embedScale, stateStd: (r.optional("init_values.std") ?? HUGINN_STATE_STD) * embedScale };
}

/**
 * Huginn derives both numbers from the width, whatever the file says; another number there is a mistake or another model.
 * @param isCertain the tensors have told that the blocks are Huginn's: the numbers may be a retrofitted checkpoint's otherwise
 */
function derivedScales(r: Reader, width: number, isCertain: boolean): Scales {
  const derived = [
    { name: "init_values.embed_scale", formula: "sqrt(n_embd)", value: Math.sqrt(width) },
    { name: "init_values.std", formula: "sqrt(2 / (5 n_embd))", value: Math.sqrt(2 / (5 * width)) },
  ] as const;
  for (const { name, formula, value } of derived) {
    const given = r.optional(name) ?? value;
    if (isCertain && Math.abs(given / value - 1) > ROUNDING)
      throw r.bad(name, `${given} is not supported; this family's is ${formula} = ${value}. Correct the field or leave it out`);
  }
  return { embedScale: derived[0].value, stateStd: Math.sqrt(2 / 5) };
}

/** Which norms a checkpoint's blocks have, by its tensor names. */
function normsOf(tensorNames: readonly string[]): BlockLayout["norms"] {
  const foreign = tensorNames.find((name) => /\.(q_norm|k_norm)\./.test(name));
  if (foreign !== undefined)
    throw new FathomError(
      "invalid_config",
      `config.json: block: the checkpoint has ${foreign}: blocks with norms on queries and keys are not supported.`,
      "block",
    );
  const has = (norm: string): boolean => tensorNames.some((name) => name.endsWith(`.${norm}.weight`));
  return has("norm_1") && !has("norm_3") && !has("norm_4") ? "pre" : "sandwich";
}

/** What both files' readers have in common. */
interface TokenReader {
  optional(name: "bos_token_id" | "eos_token_id" | "pad_token_id"): number | readonly number[] | undefined;
  readonly bad: Reader["bad"];
}

/** Stop tokens are those of both files; the beginning is config.json's, where it has one. */
function tokensOf(
  config: TokenReader,
  generation: TokenReader,
  vocabSize: number,
  isHuginn: boolean,
): Pick<ModelConfig, "bosToken" | "eosTokens" | "padToken"> {
  const isOwn = (id: number): boolean => isHuginn || !HUGINN_TOKENS.includes(id);
  const ids = (r: TokenReader, name: Parameters<TokenReader["optional"]>[0]): number[] => {
    const own = [r.optional(name) ?? []].flat().filter((id) => isOwn(id) && id !== -1);
    const outside = own.find((id) => id >= vocabSize);
    if (outside !== undefined)
      throw r.bad(name, `${outside} is outside the vocabulary of ${vocabSize}; expected token ids from 0 to ${vocabSize - 1}`);
    return own;
  };
  return {
    padToken: [...ids(config, "pad_token_id"), ...ids(generation, "pad_token_id")][0],
    bosToken: [...ids(config, "bos_token_id"), ...ids(generation, "bos_token_id")][0],
    eosTokens: [...new Set([...ids(config, "eos_token_id"), ...ids(generation, "eos_token_id")])],
  };
}

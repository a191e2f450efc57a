/**
 * config.json of the families that are known, and the token ids of generation_config.json -> a checked ModelConfig. Names here are
 * short; messages name the file's own fields. Not here: which fields there are (fields/), tensor shapes against this
 * config (checkpoint.ts).
 */
import { CONFIG } from "./fields/config.ts";
import { openFields, type FieldReader } from "./fields/field.ts";
import { GENERATION } from "./fields/generation.ts";
import { familyOf, type BlockLayout, type Family, type FamilyName, type Recurrence } from "./families/index.ts";
import { parseRope, type RopeScaling } from "./rope.ts";

export type { BlockLayout, FamilyName, Recurrence } from "./families/index.ts";

/** A model's shape, under the engine's names; the checkpoint's own name stands beside each where it differs. */
export interface ModelConfig {
  readonly family: FamilyName;
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
  /** mean_recurrence or total_ut_steps: iterations when nobody says otherwise. */
  readonly meanRecurrence: number;
  /** Factor on embeddings, sqrt(width) in Huginn. */
  readonly embedScale: number;
  /** Standard deviation of an element of s_0 before truncation at three of it: sqrt(2/5) in Huginn. */
  readonly stateStd: number;
  readonly block: BlockLayout;
  readonly recurrence: Recurrence;
  /** Where the exit gate's cumulative probability ends an answer, by the model's own file; 1 or more: never. No gate: undefined. */
  readonly gateThreshold: number | undefined;
  /** Iterations at which the model's own file always exits, whatever its gate says; undefined: it does not say. */
  readonly exitAt: number | undefined;
  readonly bosToken: number | undefined;
  readonly eosTokens: readonly number[];
  /** The pad token's id, for templates alone, as nothing is padded. */
  readonly padToken: number | undefined;
}

/** Numbers of Huginn's own vocabulary, which the converters of retrofitted checkpoints left in files of other vocabularies. */
const HUGINN_TOKENS: readonly number[] = [65504, 65505, 65508, 65509];

/** Deviation of the elements of Huginn's initial state, whose width is 5280; retrofitted checkpoints keep the number. */
const HUGINN_STATE_STD = Math.sqrt(2 / (5 * 5280));

/** How far a derived number in a file may be from its formula, as a share: it may have been rounded. */
const ROUNDING = 1e-3;

type Reader = FieldReader<(typeof CONFIG)["read"]>;
type Name = keyof (typeof CONFIG)["read"];

/**
 * Reads and checks config.json (already parsed).
 * @param tensorNames of the checkpoint: they tell which variant of the block it has. [default fathom_family, else Huginn's]
 * @param generation generation_config.json, already parsed. [default none]
 * @param named the family, where another file than config.json says it and there are no tensors to tell
 * @throws {FathomError} invalid_config, naming the field.
 */
export function parseConfig(json: unknown, tensorNames?: Iterable<string>, generation: unknown = {}, named?: FamilyName): ModelConfig {
  const r = openFields(CONFIG, json);
  const tensors = tensorNames === undefined ? undefined : [...tensorNames];
  const family = familyOf((json as { model_type?: unknown }).model_type, tensors, named ?? r.optional("fathom_family"));
  refuseForeign(r, family);
  const isHuginn = family.name === "huginn";
  const vocabSize = r.required("vocab_size");
  const width = same(r, family, "n_embd", "hidden_size") ?? r.required("n_embd");
  return {
    family: family.name,
    width,
    ...headsOf(r, family, width),
    mlpWidth: r.required("intermediate_size"),
    ...layersOf(r, family),
    vocabSize,
    contextLength: contextOf(r, family),
    ...parseRope(r, isHuginn),
    normEps: same(r, family, "norm_eps", "rms_norm_eps") ?? 1e-6,
    qkBias: r.optional("qk_bias") ?? isHuginn,
    tiedHead: isTied(r, family, isHuginn ? undefined : tensors),
    ...(isHuginn ? derivedScales(r, width, tensors !== undefined) : ownScales(r)),
    block: family.block,
    ...recurrenceOf(r, family),
    ...tokensOf(r, openFields(GENERATION, generation), vocabSize, isHuginn),
  };
}

/** A field that asks for what another family does. */
function refuseForeign(r: Reader, { foreign, name }: Family): void {
  for (const field of foreign) {
    const value = r.optional(field);
    if (value !== undefined) throw r.bad(field, `${String(value)} means nothing to this model's family (${name}); remove the field`);
  }
}

/** Two names of one thing. Retrofitted checkpoints' own code goes by the alias where both are there. */
function same<N extends Name>(r: Reader, family: Family, name: N, alias: N): ReturnType<typeof r.optional<N>> {
  const [own, other] = [r.optional(name), r.optional(alias)];
  if (own !== undefined && other !== undefined && own !== other && family.name === "huginn")
    throw r.bad(alias, `${String(other)} contradicts ${name} ${String(own)}; remove the wrong one`);
  return other ?? own;
}

function layersOf(r: Reader, { layers }: Family): Pick<ModelConfig, "preludeLayers" | "coreLayers" | "codaLayers"> {
  const count = (field: Name | undefined): number => (field === undefined ? 0 : (r.required(field) as number));
  return { preludeLayers: count(layers.prelude), coreLayers: count(layers.core), codaLayers: count(layers.coda) };
}

/** How many times the core runs, from what, and until when. */
function recurrenceOf(r: Reader, family: Family): Pick<ModelConfig, "recurrence" | "meanRecurrence" | "gateThreshold" | "exitAt"> {
  const [field, otherwise] = family.iterations;
  const usual = r.optional(field) ?? otherwise;
  const mode = r.optional("initial_state_mode") ?? family.starts[0]!;
  if (!family.starts.includes(mode))
    throw r.bad(
      "initial_state_mode",
      `"${mode}" is not what this model's family (${family.name}) does; expected ${family.starts.map((m) => `"${m}"`).join(" or ")}`,
    );
  const always = r.optional("early_exit_step");
  if (always !== undefined && always >= usual)
    throw r.bad("early_exit_step", `${always} is beyond the last of ${usual} loops, ${usual - 1}`);
  return {
    recurrence: { ...family.recurrence, start: mode === "random" ? "random" : "embedded", skipsAdapter: mode === "skip-adapter" },
    meanRecurrence: usual,
    gateThreshold: family.recurrence.exitGate ? (r.optional("early_exit_threshold") ?? 1) : undefined,
    exitAt: always === undefined ? undefined : always + 1,
  };
}

function headsOf(r: Reader, family: Family, width: number): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const heads = same(r, family, "n_heads", "num_attention_heads");
  if (heads === undefined) throw r.bad("num_attention_heads", "missing; expected a whole number, or n_heads");
  const kvHeads = r.optional("num_key_value_heads") ?? heads;
  const headDim = r.optional("head_dim") ?? width / heads;
  if (!Number.isInteger(headDim) || (headDim * heads !== width && family.name !== "ouro"))
    throw r.bad("head_dim", `${headDim} x ${heads} heads is not n_embd ${width}; give heads that divide the width`);
  if (headDim % 2 !== 0) throw r.bad("head_dim", `${headDim} is odd; rotary position needs an even head size`);
  if (heads % kvHeads !== 0) throw r.bad("num_key_value_heads", `${kvHeads} does not divide num_attention_heads ${heads}`);
  return { heads, kvHeads, headDim };
}

/** The converters of retrofitted checkpoints leave Huginn's block_size beside the true limit. */
function contextOf(r: Reader, { name }: Family): number {
  const positions = r.optional("max_position_embeddings");
  if (name !== "huginn") return positions ?? r.required("block_size");
  return Math.min(r.required("block_size"), positions ?? Infinity);
}

/** @param tensors of a retrofitted checkpoint: a head that is there is used, whatever the flags say */
function isTied(r: Reader, family: Family, tensors: readonly string[] | undefined): boolean {
  if (tensors?.includes("lm_head.weight")) return false;
  return same(r, family, "tie_embeddings", "tie_word_embeddings") ?? true;
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

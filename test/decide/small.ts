/**
 * Small random models that decide, with a tokenizer of letters; they need no file, and so are for workerd, too.
 */
import { defaultCard, parseCard, type CardJson } from "../../engine/model/card.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { decisionForm } from "../../engine/model/decisions.ts";
import type { MatchWeights } from "../../engine/model/match.ts";
import type { TextCodec } from "../../engine/model/tokenizer.ts";
import type { Backend, BackendFactory, Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { randomFloats, randomWeights } from "../wasm/models.ts";

/** Ids of the small models' control tokens; letters and all else come after them. */
export const MARKERS = { begin: 0, question: 1, option: 2, fits: 3, yes: 4 } as const;
const FIRST_LETTER = 5;

export const SMALL_CONFIG: ModelConfig = parseConfig({
  model_type: "huginn_raven",
  n_embd: 32,
  num_attention_heads: 2,
  intermediate_size: 32,
  n_layers_in_prelude: 1,
  n_layers_in_recurrent_block: 2,
  n_layers_in_coda: 1,
  vocab_size: 101,
  block_size: 512,
  qk_bias: true,
});

/** Printable ASCII, a token a character. */
export const letters: TextCodec = {
  encode: (text) => [MARKERS.begin, ...letters.encodePart(text)],
  encodePart: (text) => Array.from(text, (letter) => FIRST_LETTER + (letter.charCodeAt(0) % 96)),
  tokenId: () => undefined,
  encodeChat: (messages) => letters.encode(messages.map(({ content }) => content).join("\n")),
  decode: (tokens) => tokens.map((token) => letters.tokenName(token)).join(""),
  tokenName: (token) =>
    token < FIRST_LETTER ? `<${token}>` : String.fromCharCode(token - FIRST_LETTER < 32 ? token - FIRST_LETTER + 96 : token - FIRST_LETTER),
};

export const FORMS = ["branches", "letters", "likelihood"] as const;

/** Random matrices that choose two options of each question. */
export const MATCH: MatchWeights = {
  size: 8,
  question: randomFloats(8 * SMALL_CONFIG.width, 71),
  option: randomFloats(8 * SMALL_CONFIG.width, 72),
  reads: "question",
  scale: 2,
  bias: 0,
  candidates: 2,
  settled: undefined,
};

/** A random model that decides by a form. @param more of the card's `decisions` */
export async function smallModel<B extends Backend = Backend>(
  form: (typeof FORMS)[number] = "branches",
  createBackend: BackendFactory<B> = createReferenceBackend as unknown as BackendFactory<B>,
  more: Partial<NonNullable<CardJson["decisions"]>> = {},
  match?: MatchWeights,
): Promise<Model<B>> {
  const config = SMALL_CONFIG;
  const decisions = { form, ...(form === "branches" && { markers: MARKERS }), exit: { criterion: "latent-diff", threshold: 0.1 }, ...more };
  const card = parseCard({ ...defaultCard("small", config), iterations: 6, maxIterations: 64, decisions }, config);
  const backend = await createBackend(config, randomWeights(config));
  return { config, card, text: letters, decisions: decisionForm(card, config, letters, match), backend };
}

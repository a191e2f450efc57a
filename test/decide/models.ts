/**
 * Small random models that decide, with a tokenizer of letters; and the reference model in branch form, where it is.
 */
import { existsSync, readFileSync } from "node:fs";
import { diskFolder } from "../../cli/files.ts";
import { defaultCard, parseCard, type CardJson } from "../../engine/model/card.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { convertingSink, planConversion, type TargetFormat } from "../../engine/model/convert.ts";
import { decisionForm } from "../../engine/model/decisions.ts";
import { readWeights, WEIGHTS, type ModelFolder } from "../../engine/model/folder.ts";
import type { TextCodec } from "../../engine/model/tokenizer.ts";
import { loadModel, type Backend, type BackendFactory, type Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { source } from "../engine/files.ts";
import { randomWeights } from "../wasm/models.ts";

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

/** A random model that decides by a form. @param more of the card's `decisions` */
export async function smallModel<B extends Backend = Backend>(
  form: (typeof FORMS)[number] = "branches",
  createBackend: BackendFactory<B> = createReferenceBackend as unknown as BackendFactory<B>,
  more: Partial<NonNullable<CardJson["decisions"]>> = {},
): Promise<Model<B>> {
  const config = SMALL_CONFIG;
  const decisions = { form, ...(form === "branches" && { markers: MARKERS }), exit: { criterion: "latent-diff", threshold: 0.1 }, ...more };
  const card = parseCard({ ...defaultCard("small", config), iterations: 6, maxIterations: 64, decisions }, config);
  const backend = await createBackend(config, randomWeights(config));
  return { config, card, text: letters, decisions: decisionForm(card, config, letters), backend };
}

/** Where the reference model in branch form lies; it is not shipped. */
const DECIDER = new URL("../../../../shared/reference/decider/", import.meta.url).pathname;
export const hasDecider = existsSync(`${DECIDER}model.safetensors`);

export interface ReferenceCase {
  readonly input: string;
  readonly instructions: string;
  readonly type: "choice" | "predicate";
  readonly options: readonly string[] | null;
  readonly shared: readonly number[];
  readonly branches: readonly (readonly number[])[];
  /** By iterations. */
  readonly fit: Readonly<Record<string, readonly number[]>>;
}

/** The card that its markers ask for. */
function deciderCard(config: ModelConfig): CardJson {
  const markers = { begin: "<|begin_text|>", question: "<|question|>", option: "<|option|>", fits: "<|fits|>", yes: "<|yes|>" };
  const decisions = {
    form: "branches" as const,
    markers,
    temperatures: {},
    iterations: 16,
    exit: { criterion: "latent-diff" as const, threshold: 0.03, minIterations: 0 },
  };
  return { ...defaultCard("decider", config), iterations: 16, maxIterations: 64, decisions };
}

export function referenceCases(): readonly ReferenceCase[] {
  return (JSON.parse(readFileSync(`${DECIDER}decisions.json`, "utf8")) as { cases: ReferenceCase[] }).cases;
}

/** Loads it with a card of its form. @param format of its weights [default as they are, f32] */
export async function loadDecider<B extends Backend>(createBackend: BackendFactory<B>, format: TargetFormat = "f32"): Promise<Model<B>> {
  const folder = diskFolder(DECIDER);
  const config = parseConfig(JSON.parse(readFileSync(`${DECIDER}config.json`, "utf8")));
  const weights = format === "f32" ? undefined : await converted(folder, config, format);
  return loadModel(
    {
      name: "decider",
      readText: async (file) => (file === "card.json" ? JSON.stringify(deciderCard(config)) : folder.readText(file)),
      open: async (file) => (file === WEIGHTS && weights !== undefined ? source(weights) : folder.open(file)),
    },
    createBackend,
  );
}

async function converted(folder: ModelFolder, config: ModelConfig, format: TargetFormat): Promise<Uint8Array> {
  const plan = planConversion(config, format);
  const file = new Uint8Array(plan.header.length + plan.dataBytes);
  file.set(plan.header);
  const sink = convertingSink(plan, ({ begin }, bytes, at) => file.set(bytes, plan.header.length + begin + at));
  await readWeights(folder, config, sink);
  return file;
}

/**
 * Text <-> tokens <-> chat, by the model folder's own files. Decides what begins a prompt and what may steer a model:
 * control tokens come from the folder's template and from here, never from what callers write. Not here: how each of
 * it is done (text/), streams (text/text-stream.ts).
 */
import { FathomError } from "../errors.ts";
import type { OnTextWork } from "../text-work.ts";
import type { ModelConfig } from "./config.ts";
import { FAMILIES } from "./families/index.ts";
import { readJson, type ModelFolder } from "./folder.ts";
import { foreignText, guard, revealApart, type RevealedText } from "./text/guarded-text.ts";
import { readTokenizerSettings, type Json, type TokenizerSettings } from "./text/special-tokens.ts";
import { readTemplate, type ChatMessage, type ChatTemplate } from "./text/template.ts";
import { endOf, readVocabulary, type Vocabulary } from "./text/vocabulary.ts";

export type { ChatMessage } from "./text/template.ts";

/** Text to token ids and back. */
export interface TextCodec {
  /**
   * Token ids of a raw prompt, bos first where the model has one. The text's own bos at its start is that one.
   * @throws {FathomError} context_overflow, at once, where the text is too long for the context whatever its tokens are
   */
  encode(text: string): number[];
  /** Token ids of a piece of a prompt, nothing put before it. What a caller wrote never becomes a control token. */
  encodePart(text: string): number[];
  /** The id of a token by its text, control tokens among them; undefined where the tokenizer has none. */
  tokenId(name: string): number | undefined;
  /**
   * Token ids of a conversation, ready for the model's answer.
   * @throws {FathomError} invalid_request where the template refuses the messages, invalid_template where it fails, context_overflow
   */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /**
   * `encode` of a text or `encodeChat` of a conversation in steps of a millisecond or two, the ids at their end: a host of
   * several requests gives way in between, and asks no other of the two. A codec made from another, with an `encode` or
   * `encodeChat` of its own, needs its own `steps` or none. [default none: a codec that is always quick]
   * @param onLeast told the fewest tokens that the text can have, before they are made; what it throws ends it
   * @param onWork  told of all that is done for it, the template's steps among it
   */
  steps?(prompt: string | readonly ChatMessage[], onLeast?: (tokens: number) => void, onWork?: OnTextWork): Generator<undefined, number[]>;
  /** Text of tokens, control tokens left out. */
  decode(tokens: readonly number[]): string;
  /** The text of a single token, control tokens by their names. */
  tokenName(token: number): string;
  /** Stop tokens by their texts, beside those of config.json: what the tokenizer's own files name, and what the family ends with. */
  readonly endTokens?: readonly number[];
}

/** Who hears of a text while its tokens are made. */
interface EncodeTerms {
  /** The field that the text comes from. */
  readonly param?: string;
  readonly onLeast?: ((tokens: number) => void) | undefined;
  readonly onWork?: OnTextWork | undefined;
}

/** Made in some 10 ms: up to here a refusal may wait for the true number. */
const CHEAP_TOKENS = 4096;

/**
 * Reads a folder's tokenizer and chat template.
 * @throws {FathomError} invalid_tokenizer, invalid_template
 * @example
 * const text = await readTokenizer(folder, await readConfig(folder));
 */
export async function readTokenizer(folder: ModelFolder, config: ModelConfig): Promise<TextCodec> {
  const json = await readJson(folder, "tokenizer.json", "invalid_tokenizer");
  const settings = await readTokenizerSettings(folder);
  const vocabulary = makeVocabulary(folder, json, settings, config);
  const bos = bosOf(settings, vocabulary, config);
  tellMissing(folder, settings, vocabulary);
  const template = await readTemplate(folder, settings.chatTemplate, templateTokens(json as Json, settings, vocabulary, config));

  const { contextLength } = config;
  function* encode(text: RevealedText, { param, onLeast, onWork }: EncodeTerms = {}): Generator<undefined, number[]> {
    const bounded = (least: number): void => {
      if (least <= Math.max(contextLength, CHEAP_TOKENS)) return onLeast?.(least);
      const message = `The prompt has at least ${least} tokens, more than the model's context of ${contextLength}; shorten it.`;
      throw new FathomError("context_overflow", message, param);
    };
    const ids = yield* vocabulary.steps(text, bounded, onWork);
    const outside = ids.find((id) => id >= config.vocabSize);
    if (outside !== undefined)
      throw new FathomError(
        "invalid_tokenizer",
        `The tokenizer gives token ${outside}, outside the model's vocabulary of ${config.vocabSize}: tokenizer.json and config.json do not belong together.`,
      );
    return ids;
  }
  const begun = (ids: number[]): number[] => (bos === undefined || ids[0] === bos.id ? ids : [bos.id, ...ids]);
  const steps: NonNullable<TextCodec["steps"]> = function* (prompt, onLeast, onWork) {
    if (typeof prompt !== "string")
      return begun(yield* encode(revealApart(renderChat(template, prompt, onWork)), { param: "messages", onLeast, onWork }));
    if (prompt === "") return [];
    const rest = bos?.text !== undefined && prompt.startsWith(bos.text) ? prompt.slice(bos.text.length) : prompt;
    return begun(yield* encode(foreignText(rest), { param: "prompt", onLeast, onWork }));
  };
  return {
    encode: (text) => endOf(steps(text)),
    encodePart: (text) => (text === "" ? [] : endOf(encode(foreignText(text)))),
    tokenId: (name) => vocabulary.idOf(name),
    encodeChat: (messages) => endOf(steps(messages)),
    steps,
    decode: (tokens) => vocabulary.decode(tokens),
    tokenName: (token) => vocabulary.tokenName(token),
    endTokens: endTokens(settings, vocabulary, config),
  };
}

/** The id of a token that the files name by its text. @throws {FathomError} invalid_tokenizer outside the model's vocabulary */
function namedToken(
  name: "bos_token" | "eos_token",
  { named }: TokenizerSettings,
  vocabulary: Vocabulary,
  { vocabSize }: ModelConfig,
): number | undefined {
  const text = named[name];
  const id = typeof text === "string" ? vocabulary.idOf(text) : undefined;
  if (id !== undefined && id >= vocabSize)
    throw new FathomError(
      "invalid_tokenizer",
      `${name} ${JSON.stringify(text)} is token ${id}, outside the model's vocabulary of ${vocabSize}: the tokenizer's files and config.json do not belong together.`,
      name,
    );
  return id;
}

function endTokens(settings: TokenizerSettings, vocabulary: Vocabulary, config: ModelConfig): number[] {
  const own = namedToken("eos_token", settings, vocabulary, config);
  const ofFamily = FAMILIES[config.family].endTexts.map((text) => vocabulary.idOf(text));
  return [...new Set([own, ...ofFamily])].filter((id): id is number => id !== undefined && id < config.vocabSize);
}

/** A stop token under a wrong name would be missed, and answers run on. */
function tellMissing(folder: ModelFolder, { named }: TokenizerSettings, vocabulary: Vocabulary): void {
  for (const name of ["bos_token", "eos_token"] as const) {
    const text = named[name];
    if (typeof text === "string" && vocabulary.idOf(text) === undefined)
      folder.notice?.(`${folder.name}: ${name} ${JSON.stringify(text)} is no token of tokenizer.json and has no effect.`);
  }
}

function makeVocabulary(folder: ModelFolder, json: unknown, settings: TokenizerSettings, config: ModelConfig): Vocabulary {
  const modelTokens = new Set([...config.eosTokens, config.bosToken, config.padToken].filter((id) => id !== undefined));
  try {
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("it holds no JSON object");
    if (isEmpty((json as { model?: { vocab?: unknown } }).model?.vocab)) throw new Error("its model has no vocabulary");
    return readVocabulary(json as Json, settings, modelTokens);
  } catch (error) {
    throw new FathomError(
      "invalid_tokenizer",
      `${folder.name}/tokenizer.json cannot be used: ${(error as Error).message}.`,
      "tokenizer.json",
      { cause: error },
    );
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** What begins every prompt: the tokenizer's own bos where its files name one, else config.json's. */
function bosOf(
  settings: TokenizerSettings,
  vocabulary: Vocabulary,
  config: ModelConfig,
): { readonly id: number; readonly text: string | undefined } | undefined {
  const { named, addBos } = settings;
  if (addBos === false || (named.bos_token === null && addBos === undefined)) return undefined;
  const id = namedToken("bos_token", settings, vocabulary, config) ?? config.bosToken;
  return id === undefined ? undefined : { id, text: vocabulary.tokenName(id) || undefined };
}

/** bos_token and its like, as templates know them. */
function templateTokens(json: Json, settings: TokenizerSettings, vocabulary: Vocabulary, config: ModelConfig): Record<string, unknown> {
  const model = json["model"] as Json;
  const vocab = model["vocab"];
  const unk = Array.isArray(vocab) && typeof model["unk_id"] === "number" ? vocab[model["unk_id"]]?.[0] : model["unk_token"];
  const nameOf = (id: number | undefined): string | undefined => (id === undefined ? undefined : vocabulary.tokenName(id) || undefined);
  const numbered = {
    bos_token: nameOf(config.bosToken),
    eos_token: nameOf(config.eosTokens[0]),
    pad_token: nameOf(config.padToken) ?? (json["padding"] as Json | null | undefined)?.["pad_token"],
    unk_token: unk,
  };
  const tokens = Object.entries({ ...numbered, ...settings.named }).filter(([, text]) => typeof text === "string");
  const { additional } = settings;
  return { ...Object.fromEntries(tokens), ...(additional.length > 0 && { additional_special_tokens: additional }) };
}

/** The prompt of a chat; without a template turns cannot be told apart, and a single user message is the prompt. */
function renderChat(template: ChatTemplate | undefined, messages: readonly ChatMessage[], onWork?: OnTextWork): string {
  if (messages.every((m) => m.content.trim() === ""))
    throw new FathomError("empty_prompt", "The conversation is empty; give at least one message with text.", "messages");
  if (template !== undefined) return template(messages, onWork);
  if (messages.length !== 1 || messages[0]!.role !== "user")
    throw new FathomError(
      "invalid_request",
      "This model has no chat template; give exactly one message, of role user, or use a text prompt.",
      "messages",
    );
  return guard(messages[0]!.content);
}

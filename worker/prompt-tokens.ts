/**
 * A prompt's tokens: bounded before there is any work on its text, and made in steps between which other requests are
 * served. Not here: how texts become tokens (engine/model), what a request may spend on them.
 */
import { FathomError } from "../engine/errors.ts";
import { MS_PER_CHARACTER, type OnTextWork } from "../engine/text-work.ts";
import type { Model } from "../engine/port/model.ts";
import type { ChatMessage } from "../engine/model/tokenizer.ts";
import { ApiError } from "./errors.ts";

export type Prompt =
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tokens"; readonly tokens: readonly number[] };

export interface PromptTerms {
  readonly breathe: () => Promise<void>;
  /** Called with the fewest tokens that the prompt can have, before they are made; what it throws refuses the request. */
  readonly onLeast: (tokens: number) => void;
  /** Called with work on the text once it is done; what it throws refuses the request. */
  readonly onWork: OnTextWork;
}

/** @throws {FathomError} empty_prompt, token_out_of_range, context_overflow */
export async function promptTokens(model: Model, prompt: Prompt, terms: PromptTerms): Promise<readonly number[]> {
  const param = paramOf(prompt);
  const tokens = await encode(model, prompt, terms);
  if (tokens.length === 0) throw new FathomError("empty_prompt", "The prompt is empty.", param);
  const outside = tokens.find((token) => token >= model.config.vocabSize);
  if (outside !== undefined)
    throw new FathomError("token_out_of_range", `Token ${outside} is outside the vocabulary of ${model.config.vocabSize}.`, param);
  const { contextLength } = model.config;
  if (tokens.length > contextLength)
    throw new FathomError(
      "context_overflow",
      `The prompt has ${tokens.length} tokens, more than the model's context of ${contextLength}; shorten it.`,
      param,
    );
  return tokens;
}

/** @throws {ApiError} 400 string_above_max_length, before there is any work on the text */
export function refuseLongPrompt(prompt: Prompt, most: number): void {
  refuseLong(charactersOf(prompt), most, paramOf(prompt));
}

function paramOf({ kind }: Prompt): string {
  return kind === "chat" ? "messages" : "prompt";
}

/** @param param the field that holds the text. @throws {ApiError} 400 string_above_max_length */
export function refuseLong(characters: number, most: number, param: string): void {
  if (characters <= most) return;
  throw new ApiError(400, "string_above_max_length", `${param} has ${characters} characters; this server reads at most ${most}.`, param);
}

/** Characters of a token, rather too many: 3 to 4.5 in English texts. */
const CHARACTERS_A_TOKEN = 5;

/** How many tokens a prompt is likely to have or more, before there is any work on its text. */
export function likelyTokens(prompt: Prompt): number {
  return prompt.kind === "tokens" ? prompt.tokens.length : 1 + charactersOf(prompt) / CHARACTERS_A_TOKEN;
}

function charactersOf(prompt: Prompt): number {
  if (prompt.kind === "tokens") return 0;
  return prompt.kind === "text" ? prompt.text.length : prompt.messages.reduce((sum, { content }) => sum + content.length, 0);
}

async function encode({ text }: Model, prompt: Prompt, { breathe, onLeast, onWork }: PromptTerms): Promise<readonly number[]> {
  if (prompt.kind === "tokens") {
    onLeast(prompt.tokens.length);
    return prompt.tokens;
  }
  const given = prompt.kind === "chat" ? prompt.messages : prompt.text;
  if (text.steps === undefined) {
    onWork(charactersOf(prompt) * MS_PER_CHARACTER);
    return typeof given === "string" ? text.encode(given) : text.encodeChat(given);
  }
  const steps = text.steps(given, onLeast, onWork);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    await breathe();
  }
}

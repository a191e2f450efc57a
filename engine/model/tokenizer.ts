/**
 * Text <-> tokens <-> chat, by the model folder's own files: tokenizer.json through @huggingface/tokenizers,
 * chat_template.jinja through @huggingface/jinja. Here only what they lack: checks, and decoding a stream piece by piece.
 */
import { Template } from "@huggingface/jinja";
import { Tokenizer } from "@huggingface/tokenizers";
import { FathomError } from "../errors.ts";
import { readJson, type ModelFolder } from "./folder.ts";
import type { ModelConfig } from "./config.ts";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface TextCodec {
  /** Token ids of a raw prompt, the beginning-of-text token first where the model has one. */
  encode(text: string): number[];
  /** Token ids of a conversation, ready for the model's answer. @throws {FathomError} invalid_request */
  encodeChat(messages: readonly ChatMessage[]): number[];
  /** Text of tokens, special tokens left out. */
  decode(tokens: readonly number[]): string;
  /** The text of a single token, special tokens by their names. */
  tokenName(token: number): string;
}

/** Reads a folder's tokenizer and chat template. @throws {FathomError} invalid_tokenizer */
export async function readTokenizer(folder: ModelFolder, config: ModelConfig): Promise<TextCodec> {
  const json = await readJson(folder, "tokenizer.json", "invalid_tokenizer");
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(json as object, {});
  } catch (error) {
    throw new FathomError(
      "invalid_tokenizer",
      `${folder.name}/tokenizer.json cannot be used: ${(error as Error).message}.`,
      "tokenizer.json",
      { cause: error },
    );
  }
  const template = await readTemplate(folder);
  const begin = config.bosToken === undefined ? [] : [config.bosToken];
  const encode = (text: string, prefix: readonly number[]): number[] => {
    const ids = [...prefix, ...tokenizer.encode(text, { add_special_tokens: false }).ids];
    const outside = ids.find((id) => id >= config.vocabSize);
    if (outside !== undefined)
      throw new FathomError(
        "invalid_tokenizer",
        `The tokenizer gives token ${outside}, outside the model's vocabulary of ${config.vocabSize}: tokenizer.json and config.json do not belong together.`,
      );
    return ids;
  };
  return {
    encode: (text) => (text === "" ? [] : encode(text, begin)),
    encodeChat: (messages) => encode(renderChat(template, messages), begin),
    decode: (tokens) =>
      tokens.length === 0 ? "" : tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
    tokenName: (token) => tokenizer.decode([token], { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
  };
}

async function readTemplate(folder: ModelFolder): Promise<Template | undefined> {
  const text = await folder.readText("chat_template.jinja");
  if (text === undefined) return undefined;
  try {
    return new Template(text);
  } catch (error) {
    throw new FathomError(
      "invalid_tokenizer",
      `${folder.name}/chat_template.jinja is not a template: ${(error as Error).message}.`,
      "chat_template.jinja",
      { cause: error },
    );
  }
}

/** Without a template, the last message's text is the prompt. */
function renderChat(template: Template | undefined, messages: readonly ChatMessage[]): string {
  if (messages.every((m) => m.content.trim() === ""))
    throw new FathomError("empty_prompt", "The conversation is empty; give at least one message with text.", "messages");
  if (template === undefined) return messages.at(-1)!.content;
  try {
    return template.render({ messages, add_generation_prompt: true });
  } catch (error) {
    throw new FathomError("invalid_request", `The model's chat template refuses these messages: ${(error as Error).message}`, "messages", {
      cause: error,
    });
  }
}

/** What a decoder writes where the bytes of a character are not complete. */
const REPLACEMENT = "\uFFFD";

/**
 * Turns tokens into text piece by piece; a character split over tokens comes whole, with its last token. Each step
 * decodes only the tokens since the last whole piece and that piece itself, which some decoders need for context.
 */
export class TextStream {
  readonly #codec: TextCodec;
  readonly #tokens: number[] = [];
  #contextStart = 0;
  #emittedTo = 0;

  constructor(codec: TextCodec) {
    this.#codec = codec;
  }

  /** The text that this token completes; may be empty. */
  push(token: number): string {
    this.#tokens.push(token);
    return this.#take(false);
  }

  /** What is left at the end, broken characters included. */
  flush(): string {
    return this.#take(true);
  }

  #take(evenBroken: boolean): string {
    if (this.#emittedTo === this.#tokens.length) return "";
    const before = this.#codec.decode(this.#tokens.slice(this.#contextStart, this.#emittedTo));
    const text = this.#codec.decode(this.#tokens.slice(this.#contextStart));
    if (text.length <= before.length || (text.endsWith(REPLACEMENT) && !evenBroken)) return "";
    this.#contextStart = this.#emittedTo;
    this.#emittedTo = this.#tokens.length;
    return text.slice(before.length);
  }
}

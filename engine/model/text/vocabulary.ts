/**
 * Text <-> token ids by tokenizer.json, through @huggingface/tokenizers. Its normaliser, pre-tokeniser, model and
 * decoder are used as they are but for what byte-fallback.ts mends; added tokens are found here, since the library
 * ignores single_word and cannot tell a caller's text from a template's. Not here: chat, bos, checks (tokenizer.ts).
 */
import { MS_PER_CHARACTER, type OnTextWork } from "../../text-work.ts";
import { splitter, type AddedToken } from "./added-tokens.ts";
import { mendByteFallback } from "./byte-fallback.ts";
import type { RevealedText } from "./guarded-text.ts";
import { longestTokenOf } from "./least-tokens.ts";
import { libraryParts } from "./library-parts.ts";
import type { Json, TokenizerSettings } from "./special-tokens.ts";
import { boundTokenizer } from "./tokenizer-bounds.ts";

export interface Vocabulary {
  /**
   * Ids of a text, nothing put before or after it, in steps of so many words that a host may give way in between.
   * @param onLeast told the fewest tokens that the text can have, before they are made; what it throws ends it
   * @throws {FathomError} invalid_request where a pattern would take too long
   */
  steps(text: RevealedText, onLeast?: (tokens: number) => void, onWork?: OnTextWork): Generator<undefined, number[]>;
  /** What the steps give at their end. */
  encode(text: RevealedText, onLeast?: (tokens: number) => void): number[];
  /** Text of tokens, control tokens left out. */
  decode(tokens: readonly number[]): string;
  /** The text of a single token, control tokens by their names; "" where the tokenizer has none. */
  tokenName(token: number): string;
  idOf(text: string): number | undefined;
}

/** Characters of a step: a millisecond or two of work, as tokens take 1 to 2 us a character. */
const STEP_CHARACTERS = 1024;

/**
 * Reads tokenizer.json, already parsed.
 * @param settings tells further tokens that are special
 * @param modelTokens bos, eos and pad by config.json: control tokens too, where they are added tokens
 * @throws {Error} saying why it cannot be used
 */
export function readVocabulary(json: Json, settings: TokenizerSettings, modelTokens: ReadonlySet<number>): Vocabulary {
  const check = boundTokenizer(json);
  const longest = longestTokenOf(json);
  const added = readAdded(json["added_tokens"], settings, modelTokens, (json["model"] as Json | undefined)?.["vocab"]);
  const { normalizer, preTokenizer, model, decoder } = libraryParts(json, added);
  mendByteFallback(decoder);
  const normalize = (text: string): string => (normalizer === null ? text : normalizer(text));
  const splitRaw = splitter(added.filter((token) => token.isControl || !token.isNormalized));
  const splitNormalized = splitter(
    added.filter((token) => !token.isControl && token.isNormalized).map((token) => ({ ...token, content: normalize(token.content) })),
  );
  const control = new Set(added.filter((token) => token.isControl).map((token) => token.content));

  const encodeWord = (word: string): number[] => {
    let tokens = model([word]);
    // the model's own vocabulary may hold control tokens; text that spells one is taken letter by letter
    const spells = (token: string): boolean => control.has(token) && (token !== model.unk_token || word.includes(token));
    if (tokens.some(spells)) tokens = [...word].flatMap((letter) => model([letter])).filter((token) => !spells(token));
    return tokens.flatMap((token) => model.tokens_to_ids.get(token) ?? model.unk_token_id ?? []);
  };
  const wordsOf = (text: string, isFirst: boolean): readonly string[] =>
    preTokenizer === null ? [text] : preTokenizer(text, { section_index: isFirst ? 0 : 1 });

  const decode = (ids: readonly number[], skipControl: boolean): string => {
    // a model's vocabulary may be larger than its tokenizer's
    const tokens = ids.flatMap((id) => model.vocab[id] ?? []).filter((token) => !(skipControl && control.has(token)));
    if (tokens.length === 0) return "";
    if (decoder === null) return tokens.join(" ");
    const text = decoder(tokens);
    if (!model.end_of_word_suffix) return text;
    const spaced = text.replaceAll(model.end_of_word_suffix, " ");
    return skipControl ? spaced.trim() : spaced;
  };

  const vocabulary: Vocabulary = {
    *steps(text, onLeast, onWork) {
      let least = 0;
      const ids: number[] = [];
      for (const piece of splitRaw(text)) {
        if (!("id" in piece)) check(piece.text);
        const parts = "id" in piece ? [piece] : splitNormalized({ text: normalize(piece.text), own: "" });
        for (const part of parts) {
          if ("id" in part) {
            ids.push(part.id);
            continue;
          }
          onLeast?.((least += Math.ceil(part.text.length / longest)));
          const isFirst = part.start === 0 && "start" in piece && piece.start === 0;
          yield* inSteps(wordsOf(part.text, isFirst), encodeWord, ids, onWork);
        }
      }
      return ids;
    },
    encode: (text, onLeast) => endOf(vocabulary.steps(text, onLeast)),
    decode: (tokens) => decode(tokens, true),
    tokenName: (token) => decode([token], false),
    idOf: (text) => model.tokens_to_ids.get(text),
  };
  return vocabulary;
}

/** Adds the ids of words, and stops after every so many characters. */
function* inSteps(
  words: readonly string[],
  encodeWord: (word: string) => readonly number[],
  ids: number[],
  onWork: OnTextWork = () => {},
): Generator<undefined, void> {
  let characters = 0;
  for (const word of words) {
    for (const id of encodeWord(word)) ids.push(id);
    characters += word.length;
    if (characters < STEP_CHARACTERS) continue;
    onWork(characters * MS_PER_CHARACTER);
    characters = 0;
    yield undefined;
  }
  onWork(characters * MS_PER_CHARACTER);
}

/** Runs steps to their end, and gives what they give then. */
export function endOf<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** added_tokens, and those of the model's vocabulary that the settings call special. */
function readAdded(json: unknown, settings: TokenizerSettings, modelTokens: ReadonlySet<number>, vocab: unknown): AddedToken[] {
  if (json !== undefined && json !== null && !Array.isArray(json)) throw new Error("added_tokens is not a list");
  const tokens = ((json ?? []) as unknown[]).map((entry): AddedToken => {
    const token = (entry ?? {}) as Json;
    const { id, content } = token;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || typeof content !== "string")
      throw new Error(`added_tokens holds ${JSON.stringify(entry)?.slice(0, 80)}, which has no id and content`);
    const isSpecial = token["special"] === true;
    return {
      id,
      content,
      singleWord: token["single_word"] === true,
      lstrip: token["lstrip"] === true,
      rstrip: token["rstrip"] === true,
      isNormalized: typeof token["normalized"] === "boolean" ? token["normalized"] : !isSpecial,
      isControl: isSpecial || settings.special.has(content) || modelTokens.has(id),
    };
  });
  const known = new Set(tokens.map((token) => token.content));
  const named = [...settings.special].filter((content) => !known.has(content));
  return [...tokens, ...named.flatMap((content) => specialOf(content, idIn(vocab, content)))];
}

function specialOf(content: string, id: number | undefined): AddedToken[] {
  if (id === undefined) return [];
  return [{ id, content, singleWord: false, lstrip: false, rstrip: false, isNormalized: false, isControl: true }];
}

/** The model's vocabulary is an object of ids, or a list of [text, score]. */
function idIn(vocab: unknown, text: string): number | undefined {
  if (Array.isArray(vocab)) {
    const id = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === text);
    return id < 0 ? undefined : id;
  }
  const id = Object.hasOwn((vocab ?? {}) as object, text) ? (vocab as Json)[text] : undefined;
  return typeof id === "number" ? id : undefined;
}

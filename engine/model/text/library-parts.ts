/**
 * The parts of a tokenizer.json as @huggingface/tokenizers makes them: normaliser, pre-tokeniser, model, decoder. Its
 * class Tokenizer makes them too, with an encoder and post-processors of its own, which nothing here uses: 1.8 kB of a
 * Worker. Not here: added tokens in texts, what is mended (vocabulary.ts, byte-fallback.ts).
 */
import { BPE, Model, SequenceDecoder, SequenceNormalizer, SequencePreTokenizer, Unigram, WordPiece } from "@huggingface/tokenizers";
import type { Json } from "./special-tokens.ts";

// the library exports these, but types them by paths that only bundlers resolve
declare module "@huggingface/tokenizers" {
  /** Words to tokens; called as a function. */
  export abstract class Model {
    vocab: string[];
    tokens_to_ids: Map<string, number>;
    readonly unk_token?: string;
    readonly unk_token_id?: number;
    readonly end_of_word_suffix?: string;
    constructor(config: Json);
    abstract encode(words: string[]): string[];
  }
  export class BPE extends Model {
    encode(words: string[]): string[];
  }
  export class WordPiece extends BPE {}
  export class Unigram extends BPE {}
  export class SequenceNormalizer {
    readonly normalizers: readonly LibraryParts["normalizer"][];
    constructor(config: Json);
  }
  export class SequencePreTokenizer {
    readonly tokenizers: readonly LibraryParts["preTokenizer"][];
    constructor(config: Json);
  }
  export class SequenceDecoder {
    readonly decoders: readonly LibraryParts["decoder"][];
    constructor(config: Json);
  }
}

type Part<Args extends unknown[], Result> = ((...args: Args) => Result) | null;

/** Words to tokens. */
export type LibraryModel = Model & ((words: string[]) => string[]);

export interface LibraryParts {
  readonly normalizer: Part<[text: string], string>;
  readonly preTokenizer: Part<[text: string, options: object], string[]>;
  readonly model: LibraryModel;
  readonly decoder: Part<[tokens: string[]], string>;
}

/** An added token, as tokenizer.json has it. */
interface Added {
  readonly id: number;
  readonly content: string;
}

const PARTS = ["model", "decoder", "post_processor", "pre_tokenizer", "normalizer"];

/** @param added enter the model's vocabulary @throws {Error} saying what of the file cannot be used */
export function libraryParts(json: Json, added: readonly Added[]): LibraryParts {
  const missing = PARTS.find((part) => !(part in json));
  if (missing !== undefined) throw new Error(`Tokenizer must contain a "${missing}" property`);
  // the library exports no maker of single parts, but its sequences make theirs
  const [normalizer = null] = new SequenceNormalizer({ type: "Sequence", normalizers: [json["normalizer"]] }).normalizers;
  const [preTokenizer = null] = new SequencePreTokenizer({ type: "Sequence", pretokenizers: [json["pre_tokenizer"]] }).tokenizers;
  const model = modelOf(json["model"] as Json | null);
  const [decoder = null] = new SequenceDecoder({ type: "Sequence", decoders: [json["decoder"]] }).decoders;
  for (const { id, content } of added) {
    model.tokens_to_ids.set(content, id);
    model.vocab[id] = content;
  }
  if (decoder) Object.assign(decoder, { added_tokens: added, end_of_word_suffix: model.end_of_word_suffix });
  return { normalizer, preTokenizer, model, decoder };
}

/** The model by its type, or by its form where an old file names none. */
function modelOf(json: Json | null): LibraryModel {
  if (json === null) throw new Error("it has no model");
  return makeModel(json) as LibraryModel;
}

function makeModel(json: Json): Model {
  const { type, vocab } = json;
  if (type === "BPE") return new BPE(json);
  if (type === "WordPiece") return new WordPiece(json);
  if (type === "Unigram" || Array.isArray(vocab)) return new Unigram(json);
  if (!vocab) throw new Error(`Unknown TokenizerModel type: ${String(type)}`);
  const hasPieces = Object.hasOwn(json, "continuing_subword_prefix") && Object.hasOwn(json, "unk_token");
  if (hasPieces) return Object.hasOwn(json, "merges") ? new BPE(json) : new WordPiece(json);
  return new WholeWords(json);
}

/** Every word is a token: WordLevel, as the library has it, unknown words left out. */
class WholeWords extends Model {
  constructor(config: Json) {
    super(config);
    this.tokens_to_ids = new Map(Object.entries(config["vocab"] as Record<string, number>));
    for (const [token, id] of this.tokens_to_ids) this.vocab[id] = token;
  }

  encode(words: string[]): string[] {
    return words;
  }
}

/**
 * Small folders for tests of templates and tokenizers: a byte-level tokenizer without merges, one token a byte, and
 * whatever added tokens, template and settings a test wants.
 */
import { readFileSync } from "node:fs";
import { parseConfig } from "../../../engine/model/config.ts";
import { readTokenizer, type TextCodec } from "../../../engine/model/tokenizer.ts";
import { memoryFolder, TINY_CONFIG } from "../files.ts";

export interface Added {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly [flag: string]: unknown;
}

/** GPT-2's alphabet: printable bytes stand for themselves, the others for U+0100 and up. */
function byteCharacters(): string[] {
  const printable = (byte: number): boolean => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

export function byteTokenizer(added: readonly Added[], parts: object = {}): object {
  return {
    added_tokens: added.map((token) => ({ special: true, normalized: false, ...token })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab: Object.fromEntries(byteCharacters().map((character, byte) => [character, byte])), merges: [] },
    ...parts,
  };
}

export interface FolderParts {
  readonly tokenizer: object;
  readonly template?: string;
  readonly tokenizerConfig?: object;
  readonly specialTokensMap?: object;
  /** Fields of config.json. */
  readonly config?: object;
}

export function codecOf({ tokenizer, template, tokenizerConfig, specialTokensMap, config }: FolderParts): Promise<TextCodec> {
  const files: Record<string, string> = { "tokenizer.json": JSON.stringify(tokenizer) };
  if (template !== undefined) files["chat_template.jinja"] = template;
  if (tokenizerConfig !== undefined) files["tokenizer_config.json"] = JSON.stringify(tokenizerConfig);
  if (specialTokensMap !== undefined) files["special_tokens_map.json"] = JSON.stringify(specialTokensMap);
  return readTokenizer(memoryFolder(files), parseConfig({ ...TINY_CONFIG, vocab_size: 1024, eos_token_id: undefined, ...config }));
}

/** The tokens one by one, control tokens by their names. */
export function names(codec: TextCodec, ids: readonly number[]): string {
  return ids.map((id) => codec.tokenName(id)).join("");
}

export const user = (content: string): { role: string; content: string } => ({ role: "user", content });

/** One of templates/. */
export function templateNamed(name: string): string {
  return readFileSync(new URL(`templates/${name}.jinja`, import.meta.url), "utf8");
}

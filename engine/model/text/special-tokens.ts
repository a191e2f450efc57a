/**
 * Which tokens steer a model, and what templates call them: bos_token, eos_token and so on, as transformers reads them
 * from tokenizer_config.json and special_tokens_map.json, else as tokenizer.json and config.json number them. Not here:
 * where they may stand in a prompt (added-tokens.ts).
 */
import { doubts, openFields, type Json } from "../fields/field.ts";
import { SPECIAL_TOKENS_MAP, TOKENIZER } from "../fields/tokenizer.ts";
import { parseJson, type ModelFolder } from "../folder.ts";

export type { Json } from "../fields/field.ts";

/** Names of single tokens, in both files and for templates. */
const NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;
export type TokenName = (typeof NAMES)[number];

/** Lists of further special tokens; transformers 5 writes the second name. */
const LISTS = ["additional_special_tokens", "extra_special_tokens"] as const;

export interface TokenizerSettings {
  /** Texts of the named tokens; null where a file says that there is none. */
  readonly named: Readonly<Partial<Record<TokenName, string | null>>>;
  /** additional_special_tokens. */
  readonly additional: readonly string[];
  /** Every text that the files call special. */
  readonly special: ReadonlySet<string>;
  /** add_bos_token: whether a prompt begins with bos; undefined where nobody says. */
  readonly addBos: boolean | undefined;
  /** tokenizer_config.json's chat_template, unchecked. */
  readonly chatTemplate: unknown;
}

/** Reads tokenizer_config.json and special_tokens_map.json; both may be missing. @throws {FathomError} invalid_tokenizer */
export async function readTokenizerSettings(folder: ModelFolder): Promise<TokenizerSettings> {
  const [json, mapJson] = await Promise.all([readObject(folder, TOKENIZER.file), readObject(folder, SPECIAL_TOKENS_MAP.file)]);
  const [config, map] = [openFields(TOKENIZER, json), openFields(SPECIAL_TOKENS_MAP, mapJson)];
  for (const doubt of [...doubts(TOKENIZER, json), ...doubts(SPECIAL_TOKENS_MAP, mapJson)]) folder.notice?.(`${folder.name}: ${doubt}`);
  const named: Partial<Record<TokenName, string | null>> = {};
  for (const name of NAMES) {
    const text = config.optional(name) || map.optional(name); // "" is none
    if (text) named[name] = text;
    else if ((json as Json)[name] === null) named[name] = null;
  }
  const additional = [config, map].flatMap((file) => LISTS.flatMap((list) => file.optional(list) ?? []));
  const flagged = Object.values(config.optional("added_tokens_decoder") ?? {}).filter(
    (token): token is Json => typeof token === "object" && token !== null && (token as Json)["special"] === true,
  );
  return {
    named,
    additional: [...new Set(additional)],
    special: new Set([
      ...Object.values(named).filter((text) => text !== null),
      ...additional,
      ...flagged.map((token) => token["content"]).filter((text) => typeof text === "string"),
    ]),
    addBos: config.optional("add_bos_token"),
    chatTemplate: config.optional("chat_template"),
  };
}

async function readObject(folder: ModelFolder, file: string): Promise<unknown> {
  const text = await folder.readText(file);
  return text === undefined ? {} : parseJson(folder, file, text, "invalid_tokenizer");
}

/**
 * Which tokens steer a model, and what templates call them: bos_token, eos_token and so on, as transformers reads them
 * from tokenizer_config.json and special_tokens_map.json, else as tokenizer.json and config.json number them. Not here:
 * where they may stand in a prompt (added-tokens.ts).
 */
import { FathomError } from "../../errors.ts";
import { parseJson, type ModelFolder } from "../folder.ts";

export type Json = Readonly<Record<string, unknown>>;

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
  const [config, map] = await Promise.all([readObject(folder, "tokenizer_config.json"), readObject(folder, "special_tokens_map.json")]);
  const named: Partial<Record<TokenName, string | null>> = {};
  for (const name of NAMES) {
    const text = tokenText("tokenizer_config.json", name, config[name]) ?? tokenText("special_tokens_map.json", name, map[name]);
    if (text !== undefined) named[name] = text;
    else if (config[name] === null) named[name] = null;
  }
  const additional = [
    ...LISTS.flatMap((list) => tokenTexts("tokenizer_config.json", list, config[list])),
    ...LISTS.flatMap((list) => tokenTexts("special_tokens_map.json", list, map[list])),
  ];
  const numbered = Object.values(object("tokenizer_config.json", "added_tokens_decoder", config["added_tokens_decoder"]));
  const flagged = numbered.filter(
    (token): token is Json => typeof token === "object" && token !== null && (token as Json)["special"] === true,
  );
  const addBos = config["add_bos_token"] ?? undefined;
  if (addBos !== undefined && typeof addBos !== "boolean") throw bad("tokenizer_config.json", "add_bos_token", addBos, "true or false");
  return {
    named,
    additional: [...new Set(additional)],
    special: new Set([
      ...Object.values(named).filter((text) => text !== null),
      ...additional,
      ...flagged.map((token) => token["content"]).filter((text) => typeof text === "string"),
    ]),
    addBos,
    chatTemplate: config["chat_template"] ?? undefined,
  };
}

async function readObject(folder: ModelFolder, file: string): Promise<Json> {
  const text = await folder.readText(file);
  return text === undefined ? {} : object(file, "the file", parseJson(folder, file, text, "invalid_tokenizer"));
}

function object(file: string, field: string, value: unknown): Json {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw bad(file, field, value, "a JSON object");
  return value as Json;
}

/** A token is its text, or an object with the text as content. */
function tokenText(file: string, field: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  const text = typeof value === "object" ? (value as Json)["content"] : value;
  if (typeof text !== "string") throw bad(file, field, value, "a token's text, or an object with its content");
  return text === "" ? undefined : text;
}

/** A list of tokens, or an object of names to tokens. */
function tokenTexts(file: string, field: string, value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object") throw bad(file, field, value, "a list of tokens");
  return Object.values(value).flatMap((token) => tokenText(file, field, token) ?? []);
}

function bad(file: string, field: string, value: unknown, expected: string): FathomError {
  const shown = JSON.stringify(value).slice(0, 80);
  return new FathomError("invalid_tokenizer", `${file}: ${field}: ${shown} is not ${expected}.`, field);
}

/**
 * tokenizer_config.json by its list of fields: stop tokens, ids outside the vocabulary, what is told.
 */
import { describe, expect, it } from "vitest";
import { TOKENIZER } from "../../engine/model/fields/tokenizer.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { byteTokenizer } from "../engine/text/folders.ts";

const VOCABULARY = 260;
const config = { ...TINY_CONFIG, vocab_size: VOCABULARY, eos_token_id: 3 };
const weights = tinyCheckpoint(config);
const tokenizer = byteTokenizer([
  { id: 256, content: "<s>" },
  { id: 257, content: "<|im_end|>" },
  { id: 300, content: "<far>" },
]);

async function load(tokenizerConfig: unknown, files: Record<string, string> = {}) {
  const notices: string[] = [];
  const folder = memoryFolder({
    "config.json": JSON.stringify(config),
    "model.safetensors": weights,
    "tokenizer.json": JSON.stringify(tokenizer),
    "tokenizer_config.json": JSON.stringify(tokenizerConfig),
    ...files,
  });
  const model = await loadModel({ ...folder, notice: (line) => notices.push(line) }, createReferenceBackend);
  return { model, notices: notices.filter((line) => !line.includes("not checked for damage")) };
}

describe("tokenizer_config.json", () => {
  const ends: [tokenizerConfig: object, eosTokens: number[]][] = [
    [{ eos_token: "<|im_end|>" }, [3, 257]],
    [{ eos_token: { content: "<|im_end|>", special: true } }, [3, 257]],
    [{ eos_token: null }, [3]],
    [{}, [3]],
    [{ eos_token: "<not there>" }, [3]],
  ];
  for (const [tokenizerConfig, eosTokens] of ends)
    it(`adds its stop token to config.json's: ${JSON.stringify(tokenizerConfig)}`, async () => {
      const { model } = await load(tokenizerConfig);
      expect(model.config.eosTokens).toEqual(eosTokens);
      expect(model.backend.config.eosTokens).toEqual(eosTokens);
    });

  it("and its neighbours may each name a stop token", async () => {
    const map = {
      "special_tokens_map.json": JSON.stringify({ eos_token: "<|im_end|>" }),
      "generation_config.json": '{"eos_token_id": [4, 5]}',
    };
    expect((await load({}, map)).model.config.eosTokens).toEqual([3, 4, 5, 257]);
  });

  for (const name of ["bos_token", "eos_token"])
    it(`whose ${name} is outside the vocabulary is refused at load, not at each request`, async () => {
      await expect(load({ [name]: "<far>" })).rejects.toMatchObject({
        code: "invalid_tokenizer",
        param: name,
        message: expect.stringContaining(`"<far>" is token 300, outside the model's vocabulary of ${VOCABULARY}`),
      });
    });

  const bad: [field: string, value: unknown][] = [
    ["bos_token", 3],
    ["eos_token", { text: "<s>" }],
    ["add_bos_token", "yes"],
    ["additional_special_tokens", "<s>"],
    ["extra_special_tokens", [3]],
    ["added_tokens_decoder", []],
  ];
  for (const [field, value] of bad)
    it(`is refused by the field's name: ${field} ${JSON.stringify(value)}`, async () => {
      await expect(load({ [field]: value })).rejects.toMatchObject({ code: "invalid_tokenizer", param: field });
    });

  it("tells what it cannot follow, and keeps quiet about what changes nothing", async () => {
    const quiet = { tokenizer_class: "PreTrainedTokenizerFast", model_max_length: 1e30, padding_side: "left", add_eos_token: false };
    expect((await load(quiet)).notices).toEqual([]);
    expect((await load({ ...quiet, add_eos_token: true, eos_tokn: "<s>" })).notices).toEqual([
      "memory: tokenizer_config.json: eos_tokn is not known and has no effect; did you mean eos_token?",
      "memory: tokenizer_config.json: add_eos_token true has no effect here.",
    ]);
  });

  it("names every field once", () => {
    const names = [...Object.keys(TOKENIZER.read), ...TOKENIZER.ignored.flatMap((group) => group.names)];
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

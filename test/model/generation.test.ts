/**
 * generation_config.json: its stop tokens end answers; what is not followed is told.
 */
import { describe, expect, it } from "vitest";
import { generate } from "../../engine/decode/generate.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";

const weights = tinyCheckpoint();
const folderOf = (generation: unknown, config: object = {}, notice?: (line: string) => void) => ({
  ...memoryFolder({
    "config.json": JSON.stringify({ ...TINY_CONFIG, ...config }),
    "generation_config.json": typeof generation === "string" ? generation : JSON.stringify(generation),
    "model.safetensors": weights,
  }),
  ...(notice && { notice }),
});
const load = (generation: unknown, config: object = {}): Promise<ModelConfig> => readConfig(folderOf(generation, config));

async function tokensOf(generation: unknown): Promise<number[]> {
  const folder = folderOf(generation, { eos_token_id: undefined });
  const config = await readConfig(folder);
  const backend = await createReferenceBackend(config, (sink) => readWeights(folder, config, sink));
  const tokens: number[] = [];
  const options = { prompt: [3, 5], maxTokens: 12, iterations: 2, exit: NEVER_EXIT, cache: parseCacheStrategy("full") };
  for await (const { token } of generate(backend, { ...options, stopTokens: new Set(config.eosTokens) })) tokens.push(token);
  return tokens;
}

describe("generation_config.json", () => {
  const stops: [generation: object, config: object, eosTokens: number[]][] = [
    [{ eos_token_id: 7 }, {}, [1, 7]],
    [{ eos_token_id: [7, 8, 1] }, {}, [1, 7, 8]],
    [{ eos_token_id: [7, 8] }, { eos_token_id: undefined }, [7, 8]],
    [{ eos_token_id: [7] }, { eos_token_id: [2, 3] }, [2, 3, 7]],
    [{ eos_token_id: null }, {}, [1]],
    [{}, {}, [1]],
  ];
  for (const [generation, config, eosTokens] of stops)
    it(`adds its stop tokens to config.json's: ${JSON.stringify(generation)} to ${JSON.stringify(config)}`, async () => {
      expect((await load(generation, config)).eosTokens).toEqual(eosTokens);
    });

  it("ends an answer that would run on", async () => {
    const endless = await tokensOf({});
    expect(endless).toHaveLength(12);
    const stop = endless[4]!;
    expect(await tokensOf({ eos_token_id: [stop] })).toEqual(endless.slice(0, endless.indexOf(stop) + 1));
  });

  it("begins texts where config.json does not say with what", async () => {
    expect((await load({ bos_token_id: 5 })).bosToken).toBe(5);
    expect((await load({ bos_token_id: 5 }, { bos_token_id: 0 })).bosToken).toBe(0);
  });

  const bad: [field: string, value: unknown][] = [
    ["eos_token_id", 24],
    ["eos_token_id", [1, 128009]],
    ["eos_token_id", [null]],
    ["eos_token_id", "1"],
    ["eos_token_id", -1],
    ["eos_token_id", 2.5],
    ["bos_token_id", 24],
    ["bos_token_id", [1]],
    ["pad_token_id", 1e9],
  ];
  for (const [field, value] of bad)
    it(`is refused where it names no token of the vocabulary: ${field} ${JSON.stringify(value)}`, async () => {
      await expect(load({ [field]: value })).rejects.toMatchObject({
        code: "invalid_config",
        param: field,
        message: expect.stringContaining(`generation_config.json: ${field}`),
      });
    });

  for (const text of ["", "{", "[]", "null", "3"])
    it(`that is no JSON object is refused: ${JSON.stringify(text)}`, async () => {
      await expect(load(text)).rejects.toMatchObject({ code: "invalid_config", param: "generation_config.json" });
    });

  it("is not followed in how to sample, and what it cannot have is told", async () => {
    const heard: string[] = [];
    const generation = {
      do_sample: true,
      temperature: 0.7,
      repetition_penalty: 1.2,
      no_repeat_ngram_size: 0,
      stop_strings: ["\n"],
      mystery: 1,
    };
    await readConfig(
      folderOf({ ...generation, num_beams: 1, transformers_version: "5.0.0", _from_model_config: true }, {}, (line) => heard.push(line)),
    );
    expect(heard.map((line) => line.replace(/^memory: /, ""))).toEqual([
      "generation_config.json: mystery is not known and has no effect.",
      "generation_config.json: repetition_penalty 1.2 has no effect here.",
      'generation_config.json: stop_strings ["\\n"] has no effect here.',
    ]);
  });
});

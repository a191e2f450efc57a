/**
 * What families have of their own in config.json, and how a checkpoint tells its family.
 */
import { describe, expect, it } from "vitest";
import { defaultCard } from "../../engine/model/card.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import type { TextCodec } from "../../engine/model/tokenizer.ts";
import { TINY_CONFIG } from "../engine/files.ts";
import { byteTokenizer, codecOf } from "../engine/text/folders.ts";
import { OUTPUT_NORM, OURO, PRE_NORM } from "./siblings.ts";

const RETROFITTED = { ...TINY_CONFIG, qk_bias: false, tie_embeddings: false, rope_theta: 10000 };
const retrofitted = (change: object): ModelConfig => parseConfig({ ...RETROFITTED, ...change }, PRE_NORM);
const ouro = (change: object): ModelConfig => parseConfig({ ...OURO, ...change });

describe("an Ouro", () => {
  it("is a core alone, whose heads need not make up the width", () => {
    expect(ouro({})).toMatchObject({ preludeLayers: 0, coreLayers: 2, codaLayers: 0, headDim: 24, meanRecurrence: 3, embedScale: 1 });
    expect(ouro({ total_ut_steps: undefined }).meanRecurrence, "where the file says nothing").toBe(4);
  });

  it("exits where its own file says", () => {
    expect(ouro({}).gateThreshold, "never").toBe(1);
    expect(ouro({ early_exit_threshold: 0.9 }).gateThreshold).toBe(0.9);
    expect(ouro({ early_exit_threshold: null }).gateThreshold).toBe(1);
    const always = ouro({ early_exit_threshold: 0.9, early_exit_step: 1 });
    expect(always, "a step, counted from 0").toMatchObject({ meanRecurrence: 3, exitAt: 2 });
    expect(defaultCard("m", always), "goes before a threshold").toMatchObject({ iterations: 2, exit: { criterion: "none" } });
    expect(defaultCard("m", ouro({ early_exit_threshold: 0.9 })).exit).toMatchObject({ criterion: "gate", threshold: 0.9 });
    expect(defaultCard("m", ouro({})).exit).toMatchObject({ criterion: "none" });
    expect(() => ouro({ early_exit_step: 3 })).toThrow(expect.objectContaining({ param: "early_exit_step" }));
  });

  it("refuses what belongs to Huginn's siblings, and they what is its own", () => {
    expect(() => ouro({ n_layers_in_prelude: 2 })).toThrow(expect.objectContaining({ param: "n_layers_in_prelude" }));
    expect(() => retrofitted({ total_ut_steps: 4 })).toThrow(expect.objectContaining({ param: "total_ut_steps" }));
  });
});

describe("initial_state_mode", () => {
  it("is read where norms stand on the outputs, and refused elsewhere unless it is random", () => {
    const olmo = (mode: string | undefined): ModelConfig => parseConfig({ ...RETROFITTED, initial_state_mode: mode }, OUTPUT_NORM);
    expect(olmo(undefined).recurrence).toMatchObject({ start: "random", skipsAdapter: false });
    expect(olmo("embed-init").recurrence).toMatchObject({ start: "embedded", skipsAdapter: false });
    expect(olmo("skip-adapter").recurrence).toMatchObject({ start: "embedded", skipsAdapter: true });
    expect(retrofitted({ initial_state_mode: "random" }).recurrence.start).toBe("random");
    for (const mode of ["embed-init", "skip-adapter", "zeros"])
      expect(() => retrofitted({ initial_state_mode: mode })).toThrow(expect.objectContaining({ param: "initial_state_mode" }));
  });
});

describe("a family's stop tokens", () => {
  const added = [
    { id: 300, content: "<|begin_of_text|>" },
    { id: 301, content: "<|end_of_text|>" },
    { id: 302, content: "<|eot_id|>" },
    { id: 303, content: "<|im_end|>" },
    { id: 304, content: "<|endoftext|>" },
  ];
  const codec = (config: object, tokenizerConfig: object = {}): Promise<TextCodec> =>
    codecOf({ tokenizer: byteTokenizer(added), tokenizerConfig, config: { tie_embeddings: true, ...config } });

  it("are taken from the tokenizer by their texts, not from what a converter left of Huginn's", async () => {
    const left = { vocab_size: 70000, bos_token_id: 65504, eos_token_id: 65505, rope_theta: 10000 };
    const names = { bos_token: "<|begin_of_text|>", eos_token: "<|end_of_text|>" };
    const llama = await codec({ ...left, fathom_family: "retrofitted-llama" }, names);
    expect(llama.endTokens).toEqual([301, 302]);
    expect(llama.encode("a")[0], "begins with its own bos").toBe(300);
    expect((await codec({ ...left, fathom_family: "retrofitted-olmo" })).endTokens, "without any name").toEqual([304]);
    expect((await codec({})).endTokens).toEqual([]);
  });
});

describe("a checkpoint's family", () => {
  it("is told by its tensors, and where there are none by what an exported folder says", () => {
    const family = (names: string[]): string => parseConfig(RETROFITTED, names).family;
    expect(family(PRE_NORM)).toBe("retrofitted-llama");
    expect(family(OUTPUT_NORM)).toBe("retrofitted-olmo");
    expect(family([...PRE_NORM, "transformer.coda.0.norm_3.weight"])).toBe("huginn");
    expect(parseConfig({ ...RETROFITTED, fathom_family: "retrofitted-olmo" }).family).toBe("retrofitted-olmo");
    expect(parseConfig(TINY_CONFIG).family).toBe("huginn");
  });

  it("says which of two names counts where a file has both: retrofitted checkpoints' own code goes by the alias", () => {
    const both = { n_heads: 4, num_attention_heads: 2, n_embd: 64, hidden_size: 32 };
    expect(retrofitted(both)).toMatchObject({ heads: 2, width: 32 });
    expect(() => parseConfig({ ...TINY_CONFIG, n_heads: 4, num_attention_heads: 2 })).toThrow(/contradicts/);
  });
});

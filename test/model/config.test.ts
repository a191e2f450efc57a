/**
 * config.json: what it says is read as the family's own code reads it, or refused by name; nothing that changes the
 * mathematics is passed over.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { CONFIG } from "../../engine/model/fields/config.ts";
import { readConfig } from "../../engine/model/folder.ts";
import { rotaryTable } from "../../engine/model/rotary.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { OUTPUT_NORM, OURO, PRE_NORM } from "./siblings.ts";

const REFERENCE = fileURLToPath(new URL("../../../shared/reference/", import.meta.url));

/** As in a folder with Huginn's own blocks. */
const load = (change: object, notice?: (line: string) => void): Promise<ModelConfig> =>
  readConfig({ ...memoryFolder({ "config.json": JSON.stringify({ ...TINY_CONFIG, ...change }), ...WEIGHTS }), ...(notice && { notice }) });
const WEIGHTS = { "model.safetensors": tinyCheckpoint() };

const RETROFITTED = { ...TINY_CONFIG, qk_bias: false, tie_embeddings: false, rope_theta: 10000, rope_base: 500000 };
const retrofitted = (change: object): ModelConfig => parseConfig({ ...RETROFITTED, ...change }, PRE_NORM);

const LLAMA3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 };

describe("a field that changes the mathematics", () => {
  const refused: [field: string, value: unknown][] = [
    ["hidden_act", "gelu"],
    ["activation_function", "relu2"],
    ["nonlin_name", "GELU"],
    ["attention_bias", true],
    ["mlp_bias", true],
    ["bias", true],
    ["lm_head_bias", true],
    ["sliding_window", 4096],
    ["use_sliding_window", true],
    ["attention_chunk_size", 128],
    ["layer_types", ["full_attention", "sliding_attention", "full_attention"]],
    ["partial_rotary_factor", 0.5],
    ["rotary_pct", 0.25],
    ["rotary_dim", 8],
    ["no_rope_layers", [1, 1, 0]],
    ["alibi", true],
    ["position_embedding_type", "learned"],
    ["qk_norm", true],
    ["use_qk_norm", true],
    ["clip_qkv", 8],
    ["query_pre_attn_scalar", 256],
    ["attention_multiplier", 0.0078],
    ["attn_logit_softcapping", 50],
    ["final_logit_softcapping", 30],
    ["logit_scale", 0.0625],
    ["logits_scaling", 8],
    ["embedding_multiplier", 12],
    ["scale_embedding", true],
    ["residual_multiplier", 0.22],
    ["use_parallel_residual", true],
    ["is_encoder_decoder", true],
    ["is_causal", false],
    ["num_local_experts", 8],
    ["pruned_heads", { 0: [1] }],
    ["test_time_noise", 0.1],
    ["initial_state_mode", "embed-init"],
    ["norm_class_name", "LayerNorm"],
    ["mlp_class_name", "BaseMLP"],
    ["block_class_name", "TransformerPostNormBlock"],
    ["injection_type", "add"],
    ["state_init", "zero"],
    ["quantization_config", { quant_method: "gptq", bits: 4 }],
    // names that no list has, but that speak of the mathematics
    ["attn_temperature_scale", 0.5],
    ["logitSoftcap", 30],
    ["rope_scalling", { type: "yarn", factor: 4 }],
    ["use_rotary_on_values", true],
    ["sliding-window-size", 64],
    ["eps", 1e-3],
    ["layernorm_epsilon", 1e-5],
    ["theta", 10000],
    ["causal", false],
    ["use_rope", false],
    ["final_norm", false],
    ["pos_emb", "alibi"],
    ["pe_type", "nope"],
    ["use_mup", true],
    ["dim_model_base", 256],
    ["swiglu_limit", 7],
    ["use_parallel_block", true],
    ["deepnorm_alpha", 2],
    ["num_kv_shared_layers", 2],
    ["use_abacus", true],
    ["mcleish_throttle", true],
    ["token_shift", true],
  ];
  for (const [field, value] of refused)
    it(`is refused by its name: ${field} ${JSON.stringify(value)}`, async () => {
      const folder = load({ [field]: value });
      await expect(folder).rejects.toMatchObject({ code: "invalid_config", param: field, message: expect.stringContaining("config.json") });
    });

  const neutral: object[] = [
    { hidden_act: "silu", attention_bias: false, mlp_bias: false, bias: false },
    { sliding_window: null, use_sliding_window: false, layer_types: ["full_attention", "full_attention"], max_window_layers: 3 },
    { sliding_window: 4096, use_sliding_window: false },
    { causal: true, use_rope: true, swiglu: true, tensor_parallel_size: 2, mask_token_id: 5, share_embeddings: false },
    { partial_rotary_factor: 1, rope_scaling: null, rope_parameters: null },
    { quantization_config: null, logit_scale: 1, residual_multiplier: 1.0, attn_logit_softcapping: null },
    { attention_dropout: 0.1, initializer_range: 0.02, use_cache: true, torch_dtype: "bfloat16", transformers_version: "5.0.0" },
    { test_time_noise: 0, test_time_noise_type: "fixed", initial_state_mode: "random", pruned_heads: {} },
    { attn_implementation: "sdpa", _attn_implementation_autoset: true, _name_or_path: "somewhere" },
    { use_flash_attn: true, attention_backend: "sdpa", activation_checkpointing: true, norm_init_method: "ones" },
    { some_new_dropout: 0.1, use_new_rope: false, new_logit_multiplier: 1 },
  ];
  for (const change of neutral)
    it(`at its neutral value changes nothing: ${JSON.stringify(change)}`, async () => {
      const heard: string[] = [];
      expect(await load(change, (line) => heard.push(line))).toEqual(await load({}));
      expect(heard.filter((line) => !/is not known/.test(line))).toEqual([]);
    });

  it("is refused by one sentence, which may end with a question", async () => {
    await expect(load({ activation_fn: "gelu" })).rejects.toThrow(/; did you mean activation\?$/);
    await expect(load({ layer_norm_eps: 1e-5 })).rejects.toThrow(/\w\.$/);
  });

  it("of the family's is refused where it contradicts the formula", async () => {
    expect(await load({ init_values: { embed_scale: Math.sqrt(32), std: Math.sqrt(2 / 160), out_proj: 9 } })).toEqual(await load({}));
    await expect(load({ init_values: { embed_scale: 1 } })).rejects.toMatchObject({ param: "init_values.embed_scale" });
    await expect(load({ init_values: { std: 0.02 } })).rejects.toMatchObject({ param: "init_values.std" });
    await expect(load({ init_values: 3 })).rejects.toMatchObject({ param: "init_values" });
  });

  const contradictions: [param: string, change: object][] = [
    ["hidden_size", { hidden_size: 64 }],
    ["num_attention_heads", { n_heads: 4 }],
    ["rms_norm_eps", { norm_eps: 1e-6, rms_norm_eps: 1e-5 }],
    ["tie_word_embeddings", { tie_word_embeddings: false }],
    ["rope_theta", { rope_base: 50000, rope_theta: 10000 }],
  ];
  for (const [param, change] of contradictions)
    it(`that has two names is refused where they differ: ${JSON.stringify(change)}`, async () => {
      await expect(load(change)).rejects.toMatchObject({ code: "invalid_config", param });
    });

  it("may be given by either of its names", async () => {
    const { num_attention_heads: heads, n_embd: width, ...rest } = TINY_CONFIG;
    const renamed = parseConfig({ ...rest, n_heads: heads, hidden_size: width, rms_norm_eps: 1e-5 });
    expect(renamed).toEqual(parseConfig({ ...TINY_CONFIG, norm_eps: 1e-5 }));
  });
});

describe("rotary position", () => {
  const angles = (config: ModelConfig): object => rotaryTable(config, 40);
  const plain = (base: number): object => angles(parseConfig({ ...TINY_CONFIG, rope_base: base }));
  const scaled = angles(parseConfig({ ...TINY_CONFIG, rope_base: 10000, rope_scaling: LLAMA3 }));

  const bases: object[] = [
    { rope_theta: 10000 },
    { rope_parameters: { rope_theta: 10000, rope_type: "default" } },
    { rope_parameters: { rope_theta: 10000 } },
    { rope_scaling: { rope_theta: 10000, rope_type: "default" } },
    { rope_scaling: { rope_theta: 10000, type: "default", factor: 1 } },
    { rope_base: 10000, rope_theta: 10000, rope_parameters: { rope_theta: 10000, rope_type: "default", partial_rotary_factor: 1 } },
  ];
  for (const change of bases)
    it(`has the base that the file names: ${JSON.stringify(change)}`, async () => {
      expect(angles(await load(change))).toEqual(plain(10000));
      expect(plain(10000), "and it shows").not.toEqual(plain(50000));
    });

  const scalings: object[] = [
    { rope_base: 10000, rope_parameters: LLAMA3 },
    { rope_parameters: { ...LLAMA3, rope_theta: 10000 } },
    { rope_scaling: { ...LLAMA3, rope_theta: 10000 } },
    { rope_theta: 10000, rope_scaling: LLAMA3, rope_parameters: { ...LLAMA3, rope_theta: 10000 } },
  ];
  for (const change of scalings)
    it(`is scaled as the file says: ${Object.keys(change).join(", ")}`, async () => {
      expect(angles(await load(change))).toEqual(scaled);
      expect(scaled, "and it shows").not.toEqual(plain(10000));
    });

  for (const place of ["rope_scaling", "rope_parameters"])
    for (const type of ["yarn", "linear", "dynamic", "longrope", "su", "mrope", "proportional", "Llama3", 3])
      it(`of another kind is refused: ${place} ${type}`, async () => {
        const scaling = { ...LLAMA3, rope_type: type, factor: 4 };
        await expect(load({ [place]: scaling })).rejects.toMatchObject({ code: "invalid_config", param: expect.stringContaining(place) });
        const { rope_type: _, ...older } = scaling;
        await expect(load({ [place]: { ...older, type } })).rejects.toMatchObject({ param: expect.stringContaining(place) });
      });

  const bad: [param: string, change: object][] = [
    ["rope_parameters.rope_theta", { rope_base: 50000, rope_parameters: { rope_theta: 10000 } }],
    ["rope_scaling.rope_theta", { rope_theta: 10000, rope_scaling: { rope_type: "default", rope_theta: 20000 } }],
    ["rope_parameters", { rope_scaling: LLAMA3, rope_parameters: { rope_type: "default" } }],
    ["rope_scaling.factor", { rope_scaling: { factor: 4 } }],
    ["rope_scaling.factor", { rope_scaling: { rope_type: "llama3" } }],
    ["rope_scaling.high_freq_factor", { rope_scaling: { ...LLAMA3, high_freq_factor: 1 } }],
    ["rope_scaling.attention_factor", { rope_scaling: { ...LLAMA3, attention_factor: 1.2 } }],
    ["rope_scaling.mrope_section", { rope_scaling: { rope_type: "default", mrope_section: [2, 3, 3] } }],
    [
      "rope_parameters.full_attention",
      { rope_parameters: { full_attention: { rope_theta: 1e4 }, sliding_attention: { rope_theta: 1e6 } } },
    ],
    ["rope_parameters.partial_rotary_factor", { rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } }],
    ["rope_scaling.type", { rope_scaling: { ...LLAMA3, type: "linear" } }],
    ["rope_scaling", { rope_scaling: "linear" }],
    ["rope_theta", { rope_theta: "10000" }],
  ];
  for (const [param, change] of bad)
    it(`that contradicts itself, or lacks a part, is refused: ${JSON.stringify(change)}`, async () => {
      await expect(load(change)).rejects.toMatchObject({ code: "invalid_config", param });
    });

  it("of a retrofitted checkpoint has rope_theta for its base, and must say it", () => {
    expect(retrofitted({}).ropeBase).toBe(10000);
    expect(retrofitted({ rope_theta: undefined, rope_parameters: { rope_theta: 500000 } }).ropeBase).toBe(500000);
    expect(() => retrofitted({ rope_theta: undefined })).toThrow(expect.objectContaining({ param: "rope_theta" }));
  });
});

describe("token ids", () => {
  const bad: [field: string, value: unknown][] = [
    ["eos_token_id", 128009],
    ["eos_token_id", 24],
    ["eos_token_id", [1, 128001]],
    ["eos_token_id", [null]],
    ["eos_token_id", [1, null]],
    ["eos_token_id", -1],
    ["eos_token_id", 1.5],
    ["eos_token_id", "1"],
    ["eos_token_id", true],
    ["eos_token_id", [[1]]],
    ["eos_token_id", {}],
    ["bos_token_id", 24],
    ["bos_token_id", 65504],
    ["bos_token_id", -1],
    ["bos_token_id", [0]],
    ["bos_token_id", 0.5],
    ["pad_token_id", 65509],
    ["pad_token_id", -2],
  ];
  for (const [field, value] of bad)
    it(`outside the vocabulary are refused when the model is loaded: ${field} ${JSON.stringify(value)}`, async () => {
      await expect(load({ [field]: value })).rejects.toMatchObject({ code: "invalid_config", param: field });
    });

  it("at the edge of the vocabulary, one or several, are read", async () => {
    expect(await load({ eos_token_id: [23, 0, 23], bos_token_id: 23, pad_token_id: -1 })).toMatchObject({
      eosTokens: [23, 0],
      bosToken: 23,
    });
    expect(await load({ eos_token_id: null, bos_token_id: null })).toMatchObject({ eosTokens: [], bosToken: undefined });
    expect(await load({ eos_token_id: [] })).toMatchObject({ eosTokens: [] });
  });

  it("that a converter left of Huginn's vocabulary in a retrofitted checkpoint mean nothing", () => {
    const left = { bos_token_id: 65504, eos_token_id: [65505, 65508], pad_token_id: 65509 };
    expect(retrofitted(left)).toMatchObject({ eosTokens: [], bosToken: undefined });
    expect(retrofitted({ ...left, vocab_size: 128256 }), "words of a larger vocabulary").toMatchObject({
      eosTokens: [],
      bosToken: undefined,
    });
    expect(parseConfig({ ...RETROFITTED, eos_token_id: 2 }, PRE_NORM, left)).toMatchObject({ eosTokens: [2], bosToken: undefined });
    expect(() => retrofitted({ eos_token_id: 128001 })).toThrow(expect.objectContaining({ param: "eos_token_id" }));
  });
});

describe("a retrofitted checkpoint", () => {
  it("has its own context, embedding scale, initial state and head", () => {
    const config = retrofitted({ max_position_embeddings: 2048, init_values: { embed_scale: 2, std: 0.01 } });
    expect(config).toMatchObject({ contextLength: 2048, embedScale: 2, stateStd: 0.02, tiedHead: false });
    expect(retrofitted({ tie_embeddings: true, tie_word_embeddings: false }).tiedHead, "a head that is there is used").toBe(false);
    expect(retrofitted({}).contextLength, "block_size where nothing else says it").toBe(48);
  });
});

describe("what the operator hears", () => {
  const hear = async (change: object): Promise<string[]> => {
    const heard: string[] = [];
    await load(change, (line) => heard.push(line));
    return heard;
  };

  it("is every field that nobody knows, once, with the name that may be meant", async () => {
    const heard = await hear({ mean_recurence: 8, comment: "mine", _private: 1, nothing: null });
    expect(heard).toHaveLength(2);
    expect(heard[0]).toMatch(/memory: config\.json: mean_recurence is not known.*did you mean mean_recurrence\?/);
    expect(heard[1]).toMatch(/comment is not known/);
  });

  it("is nothing where all is well", async () => {
    expect(await hear({})).toEqual([]);
  });
});

describe("the published and the recorded configs", () => {
  const files = ["golden", "golden-siblings", "."].flatMap((folder) => {
    const path = join(REFERENCE, folder);
    return existsSync(path)
      ? readdirSync(path)
          .map((name) => join(path, name, "config.json"))
          .filter((file) => existsSync(file))
      : [];
  });
  it.skipIf(files.length === 0)("are there (skipped: no reference beside the repository)", () => {
    expect(files.length).toBeGreaterThanOrEqual(11);
  });
  for (const file of files)
    it(`load without a word: ${file.slice(REFERENCE.length)}`, async () => {
      const json = readFileSync(file, "utf8");
      const names = /llama/.test(file) ? PRE_NORM : /olmo/.test(file) ? OUTPUT_NORM : ["transformer.prelude.0.norm_3.weight"];
      const config = parseConfig(JSON.parse(json), names);
      if (file.includes("llama-222")) expect(config).toMatchObject({ ropeBase: 10000, contextLength: 2048, eosTokens: [] });
      if (file.includes("llama-131"))
        expect(config).toMatchObject({ ropeBase: 500000, contextLength: 131072, ropeScaling: { factor: 32 } });
      if (file.includes("olmo-122")) expect(config.recurrence).toMatchObject({ start: "embedded", skipsAdapter: false });
      if (file.includes("olmo-131")) expect(config.recurrence).toMatchObject({ start: "embedded", skipsAdapter: true });
      if (file.includes("ouro-3x4-h4kv2-wide"))
        expect(config).toMatchObject({ width: 48, heads: 4, headDim: 16, coreLayers: 3, meanRecurrence: 4, gateThreshold: 0.9 });
    });
});

describe("the list of fields", () => {
  const everything = {
    ...TINY_CONFIG,
    hidden_size: 32,
    n_heads: 2,
    num_key_value_heads: 2,
    head_dim: 16,
    rope_theta: 500,
    rope_base: 500,
    rope_scaling: { ...LLAMA3, rope_theta: 500, type: "llama3", partial_rotary_factor: 1 },
    rope_parameters: { ...LLAMA3, rope_theta: 500, type: "llama3", partial_rotary_factor: 1 },
    norm_eps: 1e-6,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 48,
    tie_word_embeddings: true,
    init_values: { embed_scale: 1, std: 1 },
    initial_state_mode: "random",
    fathom_family: "huginn",
    bos_token_id: 0,
    pad_token_id: 2,
  };

  it("holds no field as read that the parser does not ask for", () => {
    const asked = new Set<string>();
    const watched = (value: object, prefix: string): object =>
      new Proxy(value, {
        get(target, name) {
          const inner: unknown = Reflect.get(target, name);
          asked.add(prefix + String(name));
          return typeof inner === "object" && inner !== null && !Array.isArray(inner) ? watched(inner, `${prefix}${String(name)}.`) : inner;
        },
      });
    parseConfig(watched(everything, ""));
    parseConfig(watched({ ...OURO, early_exit_threshold: 1, early_exit_step: 0 }, ""));
    expect(Object.keys(CONFIG.read).filter((name) => !asked.has(name))).toEqual([]);
  });

  it("names every field once", () => {
    const names = [...Object.keys(CONFIG.read), ...[...CONFIG.refused, ...CONFIG.ignored].flatMap((group) => group.names)];
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

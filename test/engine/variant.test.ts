/**
 * The sibling variant of retrofitted Llama checkpoints: pre-norm blocks, grouped key/value heads, half-split rotary
 * with Llama 3's scaling, no ln_f after the core, embedding scale from the config, untied head. Checked on every
 * backend against the plainest forward pass one can write: no cache, no rows, f64.
 */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { weightSpecs } from "../../engine/model/checkpoint.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { layoutOf } from "../../engine/model/families/index.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import { rotaryTable } from "../../engine/model/rotary.ts";
import { uniform } from "../../engine/random.ts";
import { backendFactory, BACKENDS } from "../golden/backends.ts";
import { memoryFolder, safetensors, TINY_CONFIG } from "./files.ts";

const SIBLING = {
  ...TINY_CONFIG,
  n_embd: 64,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  n_layers_in_recurrent_block: 2,
  tie_embeddings: false,
  tie_word_embeddings: false,
  qk_bias: false,
  rope_theta: 500000,
  rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 16 },
  init_values: { embed_scale: 1 },
  block_class_name: "TransformerPreNormBlock",
};
const PRE_NORM_NAMES = ["transformer.prelude.0.norm_1.weight", "transformer.prelude.0.norm_2.weight"];

type Weights = Map<string, Float32Array>;

function makeWeights(config: ModelConfig): Weights {
  return new Map(
    weightSpecs(config).map((spec, n) => {
      const norm = spec.kind === "vector";
      return [
        spec.name,
        Float32Array.from({ length: spec.shape.reduce((a, b) => a * b, 1) }, (_, i) => (norm ? 1 : 0) + (uniform(3, n, i) - 0.5) * 0.5),
      ];
    }),
  );
}

function toFile(config: ModelConfig, weights: Weights): Uint8Array {
  const entries: Record<string, unknown> = {};
  let at = 0;
  for (const { name, shape } of weightSpecs(config)) {
    entries[name] = { dtype: "F32", shape, data_offsets: [at, (at += shape.reduce((a, b) => a * b, 4))] };
  }
  const data = new Uint8Array(at);
  at = 0;
  for (const w of weights.values()) {
    data.set(new Uint8Array(w.buffer), at);
    at += w.byteLength;
  }
  return safetensors(entries, data);
}

/** Logits of the last position after r iterations from zero states. */
function plainForward(c: ModelConfig, weights: Weights, tokens: number[], r: number): number[] {
  const w = (name: string) => weights.get(name)!;
  const times = (name: string, x: number[]): number[] =>
    Array.from({ length: w(name).length / x.length }, (_, o) => x.reduce((sum, v, k) => sum + v * w(name)[o * x.length + k]!, 0));
  const norm = (name: string, x: number[]): number[] => {
    const f = 1 / Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length + c.normEps);
    return x.map((v, i) => v * f * w(name)[i]!);
  };
  const table = rotaryTable(c, tokens.length);
  const half = c.headDim / 2;
  const rotated = (x: number[], p: number): number[] =>
    x.map((v, i) => {
      const j = i % half;
      const first = i % c.headDim < half;
      const other = x[first ? i + half : i - half]!;
      return v * table.cos[p * half + j]! + (first ? -1 : 1) * other * table.sin[p * half + j]!;
    });
  const block = (name: string, xs: number[][]): number[][] => {
    const [H, K, d] = [c.heads, c.kvHeads, c.headDim];
    const qkv = xs.map((x) => times(`${name}.attn.Wqkv.weight`, norm(`${name}.norm_1.weight`, x)));
    const q = qkv.map((v, p) => rotated(v.slice(0, H * d), p));
    const k = qkv.map((v, p) => rotated(v.slice(H * d, (H + K) * d), p));
    const value = qkv.map((v) => v.slice((H + K) * d));
    return xs.map((x, p) => {
      const attended = Array.from({ length: H * d }, () => 0);
      for (let h = 0; h < H; h++) {
        const g = Math.floor(h / (H / K));
        const scores = Array.from({ length: p + 1 }, (_, j) =>
          Math.exp(Array.from({ length: d }, (_, i) => q[p]![h * d + i]! * k[j]![g * d + i]!).reduce((a, b) => a + b) / Math.sqrt(d)),
        );
        const total = scores.reduce((a, b) => a + b);
        for (let i = 0; i < d; i++) attended[h * d + i] = scores.reduce((sum, s, j) => sum + (s / total) * value[j]![g * d + i]!, 0);
      }
      const mid = times(`${name}.attn.proj.weight`, attended).map((v, i) => v + x[i]!);
      const gu = times(`${name}.mlp.fc.weight`, norm(`${name}.norm_2.weight`, mid));
      const F = gu.length / 2;
      const gated = gu.slice(0, F).map((g, i) => (g / (1 + Math.exp(-g))) * gu[F + i]!);
      return times(`${name}.mlp.proj.weight`, gated).map((v, i) => v + mid[i]!);
    });
  };
  const blocks = (group: string, count: number, xs: number[][]): number[][] =>
    Array.from({ length: count }, (_, i) => i).reduce((x, i) => block(`transformer.${group}.${i}`, x), xs);
  const wte = w("transformer.wte.weight");
  const e = blocks(
    "prelude",
    c.preludeLayers,
    tokens.map((t) => Array.from(wte.subarray(t * c.width, (t + 1) * c.width), (v) => v * c.embedScale)),
  );
  let s = e.map((x) => x.map(() => 0));
  for (let t = 0; t < r; t++)
    s = blocks(
      "core_block",
      c.coreLayers,
      s.map((x, p) => times("transformer.adapter.weight", [...x, ...e[p]!])),
    );
  const out = blocks("coda", c.codaLayers, s);
  return times("lm_head.weight", norm("transformer.ln_f.weight", out.at(-1)!));
}

describe("the sibling variant", () => {
  it("is recognised by its tensor names", () => {
    const config = parseConfig(SIBLING, PRE_NORM_NAMES);
    expect(config).toMatchObject(layoutOf("retrofitted-llama"));
    expect(config).toMatchObject({ kvHeads: 2, embedScale: 1, ropeBase: 500000, qkBias: false, tiedHead: false });
    expect(parseConfig(TINY_CONFIG, [...PRE_NORM_NAMES, "transformer.prelude.0.norm_3.weight"]).family).toBe("huginn");
  });

  it("with another rotary scaling is refused by name", () => {
    expect(() => parseConfig({ ...SIBLING, rope_scaling: { rope_type: "yarn", factor: 2 } }, PRE_NORM_NAMES)).toThrow(
      expect.objectContaining({ param: "rope_scaling" }),
    );
    expect(() => parseConfig({ ...SIBLING, rope_scaling: { rope_type: "llama3" } }, PRE_NORM_NAMES)).toThrow(
      expect.objectContaining({ param: "rope_scaling.factor" }),
    );
  });

  for (const name of BACKENDS)
    it(`runs on the ${name} backend as the plainest forward pass does`, async () => {
      const weights = makeWeights(parseConfig(SIBLING, PRE_NORM_NAMES));
      const folder = memoryFolder({
        "config.json": JSON.stringify(SIBLING),
        "model.safetensors": toFile(parseConfig(SIBLING, PRE_NORM_NAMES), weights),
      });
      const config = await readConfig(folder);
      const backend = await backendFactory(name)(config, (sink) => readWeights(folder, config, sink));
      const tokens = [3, 9, 20, 7, 7, 1, 15];
      const sequence = backend.openSequence({ capacity: 8, maxIterations: 3, cache: parseCacheStrategy("full") });
      const rows = [...(await backend.prelude(tokens.slice(0, 5).map((token) => ({ sequence, token }))))];
      for (let t = 0; t < 3; t++) await backend.iterate(rows);
      await backend.readout(rows, []);
      for (const token of tokens.slice(5)) {
        const [row] = await backend.prelude([{ sequence, token }]);
        for (let t = 0; t < 3; t++) await backend.iterate([row!]);
        rows.push(row!);
      }
      const [logits] = await backend.readout(rows.slice(5), rows.slice(-1));
      const expected = plainForward(config, weights, tokens, 3);
      const error = Math.max(...expected.map((v, i) => Math.abs(v - logits![i]!)));
      expect(error).toBeLessThan(2e-4);
    });
});

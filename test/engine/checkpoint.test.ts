import { describe, expect, it } from "vitest";
import { parseConfig } from "../../engine/model/config.ts";
import { readWeights, type ModelFolder } from "../../engine/model/folder.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint, type FloatDtype } from "./files.ts";
import { shardsOf } from "./shards.ts";

async function load(bytes: Uint8Array | Record<string, string | Uint8Array>, config: object = TINY_CONFIG, path = "") {
  const files = bytes instanceof Uint8Array ? { "model.safetensors": bytes } : bytes;
  const parsed = parseConfig(config);
  return createReferenceBackend(parsed, (sink) => readWeights(memoryFolder(files, path), parsed, sink));
}

async function logits(bytes: Uint8Array | Record<string, string | Uint8Array>, path = ""): Promise<Float32Array> {
  const backend = await load(bytes, TINY_CONFIG, path);
  const sequence = backend.openSequence({
    capacity: 4,
    maxIterations: 2,
    cache: { name: "full", lookup: "full", sharing: { kind: "none" } },
  });
  const rows = backend.prelude([
    { sequence, token: 3 },
    { sequence, token: 5 },
  ]);
  backend.iterate(rows);
  return backend.readout(rows, rows)[1]!;
}

describe("a checkpoint", () => {
  it("gives the same answer in f32 and, within their precision, in bf16 and f16", async () => {
    const exact = await logits(tinyCheckpoint());
    for (const dtype of ["BF16", "F16"] as FloatDtype[]) {
      const half = await logits(tinyCheckpoint(TINY_CONFIG, dtype));
      const error = Math.max(...exact.map((v, i) => Math.abs(v - half[i]!)));
      expect(error).toBeLessThan(0.05);
      expect(error).toBeGreaterThan(0);
    }
  });

  it("may be sharded, with an index", async () => {
    const whole = tinyCheckpoint();
    const index = JSON.stringify({ weight_map: indexOf(whole, "shard.safetensors") });
    expect(await logits({ "model.safetensors.index.json": index, "shard.safetensors": whole })).toEqual(await logits(whole));
  });

  for (const [host, path] of [
    ["a disk", ""],
    ["a Worker's assets", "models/tiny/"],
    ["a URL", "https://models.test/tiny/"],
  ] as const)
    it(`may be sharded on ${host}, whatever path its files have there`, async () => {
      const whole = tinyCheckpoint();
      const expected = await logits(whole);
      for (const count of [1, 2, 3, 11]) expect(await logits(shardsOf(whole, count), path), `${count} shards`).toEqual(expected);
    });

  it("asks for a shard when the one before it has been read", async () => {
    const files = shardsOf(tinyCheckpoint(), 8);
    const plain = memoryFolder(files);
    const log: string[] = [];
    const folder: ModelFolder = {
      ...plain,
      async open(file) {
        const source = await plain.open(file);
        if (source === undefined) return undefined;
        log.push("open");
        const read = async function* (): AsyncGenerator<Uint8Array> {
          yield* source.open();
          log.push("read");
        };
        return { ...source, open: read };
      },
    };
    const config = parseConfig(TINY_CONFIG);
    await createReferenceBackend(config, (sink) => readWeights(folder, config, sink));
    expect(log).toEqual(Array.from({ length: 8 }, () => ["open", "read"]).flat());
  });

  it("may carry a head beside tied embeddings, and the rotary table", async () => {
    const plain = tinyCheckpoint();
    expect(await logits(withExtra(plain, { "lm_head.weight": [24, 32], freqs_cis: [1, 48, 1, 8, 2] }))).toEqual(await logits(plain));
  });

  it("that lacks a tensor is named", async () => {
    const bytes = tinyCheckpoint(TINY_CONFIG, "F32", (e) => {
      e["transformer.ln_f.bias"] = e["transformer.ln_f.weight"];
      delete e["transformer.ln_f.weight"];
    });
    await expect(load(bytes)).rejects.toMatchObject({ code: "invalid_checkpoint", param: "transformer.ln_f.bias" });
  });

  it("that does not fit its config is refused before any data is used", async () => {
    await expect(load(tinyCheckpoint(), { ...TINY_CONFIG, intermediate_size: 96 })).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining("mlp.fc.weight has shape [128, 32]"),
    });
    await expect(load(tinyCheckpoint(), { ...TINY_CONFIG, n_layers_in_coda: 2 })).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining("transformer.coda.1"),
    });
    await expect(load(tinyCheckpoint(), { ...TINY_CONFIG, tie_embeddings: false })).rejects.toMatchObject({
      code: "invalid_checkpoint",
      param: "lm_head.weight",
    });
  });

  it("with integers where weights belong is refused", async () => {
    const bytes = tinyCheckpoint(TINY_CONFIG, "F32", (e) => (e["transformer.ln_f.weight"].dtype = "I32"));
    await expect(load(bytes)).rejects.toMatchObject({ code: "invalid_checkpoint", message: expect.stringContaining("dtype I32") });
  });

  it("is missed where there is none", async () => {
    await expect(load({})).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringContaining("neither model.safetensors nor"),
    });
  });

  it("whose index names an absent or a wrong file is refused", async () => {
    const whole = tinyCheckpoint();
    const map = indexOf(whole, "a.safetensors");
    await expect(load({ "model.safetensors.index.json": JSON.stringify({ weight_map: map }) })).rejects.toMatchObject({
      message: expect.stringContaining("lacks a.safetensors"),
    });
    const moved = JSON.stringify({ weight_map: { ...map, "transformer.ln_f.weight": "b.safetensors" } });
    await expect(load({ "model.safetensors.index.json": moved, "a.safetensors": whole, "b.safetensors": whole })).rejects.toMatchObject({
      code: "invalid_checkpoint",
    });
    await expect(load({ "model.safetensors.index.json": "{}" })).rejects.toMatchObject({ message: expect.stringContaining("weight_map") });
  });
});

describe("a config", () => {
  const bad: [what: string, change: object, field: string][] = [
    ["a width that heads do not divide", { num_attention_heads: 3 }, "head_dim"],
    ["an odd head size", { n_embd: 33, num_attention_heads: 11 }, "head_dim"],
    ["no vocabulary", { vocab_size: undefined }, "vocab_size"],
    ["a fractional layer count", { n_layers_in_prelude: 1.5 }, "n_layers_in_prelude"],
    ["a negative width", { n_embd: -32 }, "n_embd"],
    ["an absurd vocabulary", { vocab_size: 1e15 }, "vocab_size"],
    ["another architecture", { model_type: "llama" }, "model_type"],
    ["another activation", { nonlin_name: "GELU" }, "nonlin_name"],
    ["a text where a number belongs", { norm_eps: "1e-6" }, "norm_eps"],
  ];
  for (const [what, change, field] of bad)
    it(`with ${what} is refused, naming ${field}`, () => {
      expect(() => parseConfig({ ...TINY_CONFIG, ...change })).toThrow(expect.objectContaining({ code: "invalid_config", param: field }));
    });

  it("that is not an object is refused", () => {
    for (const json of [null, [], 3, "x"]) expect(() => parseConfig(json)).toThrow(expect.objectContaining({ code: "invalid_config" }));
  });
});

function headerOf(file: Uint8Array): { json: Record<string, any>; data: Uint8Array } {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  return { json: JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))), data: file.subarray(8 + length) };
}

function indexOf(file: Uint8Array, shard: string): Record<string, string> {
  return Object.fromEntries(Object.keys(headerOf(file).json).map((name) => [name, shard]));
}

function withExtra(file: Uint8Array, extra: Record<string, number[]>): Uint8Array {
  const { json, data } = headerOf(file);
  let at = data.length;
  for (const [name, shape] of Object.entries(extra)) {
    const bytes = shape.reduce((a, b) => a * b, 4);
    json[name] = { dtype: "F32", shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  const grown = new Uint8Array(at);
  grown.set(data);
  const text = new TextEncoder().encode(JSON.stringify(json));
  const out = new Uint8Array(8 + text.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(grown, 8 + text.length);
  return out;
}

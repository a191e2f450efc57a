/**
 * Ouro in small: its published tensors in whatever order and shards they lie, the exit gate with and without the deeper
 * loops' keys and values, and what does not go with it.
 */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken } from "../../engine/decode/generate.ts";
import { NEVER_EXIT, parseExitRule, type ExitRule } from "../../engine/exit-rule.ts";
import { weightSpecs } from "../../engine/model/checkpoint.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import type { Backend } from "../../engine/port/backend.ts";
import type { BackendFactory } from "../../engine/port/model.ts";
import { uniform } from "../../engine/random.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { OURO } from "../model/siblings.ts";
import { memoryFolder, safetensors, TINY_CONFIG, tinyCheckpoint } from "./files.ts";

type Tensors = [name: string, shape: readonly number[], values: Float32Array][];

/** Random weights under the family's own names, in parts as published, or joined as we write them. */
function ouroTensors(isJoined: boolean): Tensors {
  return weightSpecs(parseConfig(OURO)).flatMap((spec, n): Tensors => {
    const isNorm = spec.kind === "vector" && spec.shape.length === 1 && spec.shape[0]! > 1;
    const values = Float32Array.from(
      { length: spec.shape.reduce((a, b) => a * b) },
      (_, i) => (isNorm ? 1 : 0) + (uniform(5, n, i) - 0.5) * 0.6,
    );
    if (isJoined || spec.parts === undefined) return [[spec.file, spec.shape, values]];
    const columns = spec.shape[1]!;
    let row = 0;
    return spec.parts.map(({ file, rows }) => [file, [rows, columns], values.slice(row * columns, (row += rows) * columns)]);
  });
}

function file(tensors: Tensors): Uint8Array {
  const entries: Record<string, unknown> = {};
  let at = 0;
  for (const [name, shape, values] of tensors) entries[name] = { dtype: "F32", shape, data_offsets: [at, (at += values.byteLength)] };
  const data = new Uint8Array(at);
  at = 0;
  for (const [, , values] of tensors) {
    data.set(new Uint8Array(values.buffer), at);
    at += values.byteLength;
  }
  return safetensors(entries, data);
}

const byName = ([a]: Tensors[number], [b]: Tensors[number]): number => (a < b ? -1 : 1);

async function open(files: Record<string, string | Uint8Array>, create: BackendFactory = createReferenceBackend): Promise<Backend> {
  const folder = memoryFolder({ "config.json": JSON.stringify(OURO), ...files });
  const config = await readConfig(folder);
  return create(config, (sink) => readWeights(folder, config, sink));
}

const whole = (tensors: Tensors): Record<string, Uint8Array> => ({ "model.safetensors": file(tensors) });

async function tokensOf(backend: Backend, exit: ExitRule, cache = "full"): Promise<GeneratedToken[]> {
  const options = {
    prompt: [3, 9, 20],
    maxTokens: 8,
    iterations: 3,
    exit,
    cache: parseCacheStrategy(cache),
    stopTokens: new Set<number>(),
  };
  const tokens: GeneratedToken[] = [];
  for await (const token of generate(backend, options)) tokens.push(token);
  return tokens;
}

const ids = async (backend: Backend): Promise<number[]> => (await tokensOf(backend, NEVER_EXIT)).map(({ token }) => token);

describe("the tensors of an Ouro", () => {
  it("are one model in parts, in any order, in shards, and joined", async () => {
    const expected = await ids(await open(whole(ouroTensors(true))));
    const parts = ouroTensors(false);
    expect(new Set(expected).size).toBeGreaterThan(1);
    expect(await ids(await open(whole(parts)))).toEqual(expected);
    expect(await ids(await open(whole(parts.toSorted(byName)))), "by name: k, o, q, v").toEqual(expected);
    expect(await ids(await open(whole(parts.toReversed())))).toEqual(expected);
    const [one, two] = [parts.filter((_, i) => i % 2 === 0), parts.filter((_, i) => i % 2 === 1)];
    const weight_map = Object.fromEntries([...one.map(([n]) => [n, "b.safetensors"]), ...two.map(([n]) => [n, "a.safetensors"])]);
    const shards = {
      "model.safetensors.index.json": JSON.stringify({ weight_map }),
      "b.safetensors": file(one),
      "a.safetensors": file(two),
    };
    expect(await ids(await open(shards))).toEqual(expected);
    expect(await ids(await open(shards, createNodeWasmBackend))).toEqual(expected);
  });

  it("that are missing are named as the publisher does", async () => {
    const parts = ouroTensors(false).filter(([name]) => !name.includes("layers.1.self_attn.v_proj"));
    await expect(open(whole(parts))).rejects.toThrow("lacks 1 tensor that config.json asks for: model.layers.1.self_attn.v_proj.weight");
    const wrong = ouroTensors(false).map(([name, shape, values]): Tensors[number] => [
      name,
      name.includes("k_proj") ? shape.toReversed() : shape,
      values,
    ]);
    await expect(open(whole(wrong))).rejects.toThrow(/k_proj\.weight has shape \[32, 48\], but config\.json makes it \[48, 32\]/);
  });
});

describe("the exit gate", () => {
  const rule = parseExitRule("gate:0.6");
  const depths = (tokens: GeneratedToken[]): number[] => tokens.map(({ exitValues }) => exitValues.length);

  it("chooses what the head reads; all loops leave their keys and values", async () => {
    const tokens = await tokensOf(await open(whole(ouroTensors(false))), rule);
    expect(new Set(depths(tokens)).size, "some exit sooner than others").toBeGreaterThan(1);
    expect(tokens.map(({ iterations }) => iterations)).toEqual(tokens.map(() => 3));
    for (const { exitValues, exited } of tokens) {
      expect(exitValues.slice(0, -1).every((value) => value < 0.6)).toBe(true);
      if (exitValues.length < 3) expect([exited, exitValues.at(-1)! >= 0.6]).toEqual([true, true]);
    }
  });

  it("ends the work where the cache finds the last loop's keys and values in their place", async () => {
    const tokens = await tokensOf(await open(whole(ouroTensors(false))), rule, "latest-m2-compress-s2");
    expect(tokens.map(({ iterations }) => iterations)).toEqual(depths(tokens));
    expect(Math.min(...depths(tokens))).toBeLessThan(3);
  });

  it("counts loops that a rule does not check", async () => {
    const backend = await open(whole(ouroTensors(false)));
    const each = await tokensOf(backend, { criterion: "gate", threshold: 1 });
    const second = await tokensOf(backend, { criterion: "gate", threshold: 1, minIterations: 1 });
    expect(second.map(({ exitValues }) => exitValues)).toEqual(each.map(({ exitValues }) => exitValues.slice(1)));
  });

  it("never ends anything from 1 on, and at once at 0", async () => {
    const backend = await open(whole(ouroTensors(false)));
    expect((await tokensOf(backend, parseExitRule("gate:1"))).every(({ exited }) => !exited)).toBe(true);
    expect(depths(await tokensOf(backend, parseExitRule("gate:0")))).toEqual(Array(8).fill(1));
  });

  it("is refused where the model has none", async () => {
    const folder = memoryFolder({ "config.json": JSON.stringify(TINY_CONFIG), "model.safetensors": tinyCheckpoint() });
    const config = await readConfig(folder);
    const backend = await createReferenceBackend(config, (sink) => readWeights(folder, config, sink));
    await expect(tokensOf(backend, rule)).rejects.toThrow(/learned exit gate/);
  });
});

describe("an initial state", () => {
  it("is refused where iterations begin with the token itself", async () => {
    const backend = await open(whole(ouroTensors(false)));
    const sequence = backend.openSequence({ capacity: 1, maxIterations: 1, cache: parseCacheStrategy("full") });
    expect(() => backend.prelude([{ sequence, token: 1, state: new Float32Array(32) }])).toThrow(
      expect.objectContaining({ param: "state" }),
    );
  });
});

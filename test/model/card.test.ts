/**
 * card.json: all that could go wrong with it at a request is found when the model is loaded, by the field's name.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { modelPath } from "../../cli/models.ts";
import { defaultCard, EFFORTS, parseCard, readCard } from "../../engine/model/card.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";

const config = parseConfig(TINY_CONFIG);
const TOKENIZER = readFileSync(`${modelPath("nano")}/tokenizer.json`, "utf8");
const CARD = defaultCard("tiny", config);
const ROW = { task: "sums", n: 10, accuracy: { 4: 0.5 } };
const CALIBRATION = {
  msPerUnit: { p50: 1, p95: 2 },
  overheadMs: 0,
  weights: { prelude: 1, coda: 1, head: 1, attention: 1, check: 1, gather: 1, call: 1 },
  samples: 5,
  measuredAt: "2026-11-27",
  backend: "wasm",
};

/** Loads a model with this card, as a host does. */
const load = (card: unknown) =>
  loadModel(
    memoryFolder({
      "config.json": JSON.stringify({ ...TINY_CONFIG, vocab_size: 1024 }),
      "model.safetensors": tinyCheckpoint({ ...TINY_CONFIG, vocab_size: 1024 }),
      "tokenizer.json": TOKENIZER,
      "card.json": JSON.stringify(card).replaceAll('"1e999"', "1e999"),
    }),
    createReferenceBackend,
  );

describe("a card", () => {
  const bad: [field: string, change: object, says?: RegExp][] = [
    // names
    ["maxIteration", { maxIteration: 8 }, /did you mean maxIterations\?/],
    ["max_iterations", { max_iterations: 8 }, /did you mean maxIterations\?/],
    ["Cache", { Cache: "full" }, /did you mean cache\?/],
    ["colour", { colour: "blue" }, /is not a field of a card; remove it/],
    ["exit.treshold", { exit: { ...CARD.exit, treshold: 0.2 } }, /did you mean threshold\?/],
    ["effort.hi", { effort: { ...CARD.effort, hi: 2 } }, /did you mean/],
    ["quality.0.accurracy", { quality: [{ ...ROW, accurracy: {} }] }, /did you mean accuracy\?/],
    ["calibration.msPerUnit.p99", { calibration: { ...CALIBRATION, msPerUnit: { p50: 1, p95: 2, p99: 3 } } }, /did you mean p9?5/],
    [
      "exits.0.exit.weke",
      { exits: [{ exit: { criterion: "prefix", threshold: 1, weke: 1 }, meanIterations: 1, accuracy: 1, n: 1 }] },
      /wake\?/,
    ],
    // what is missing
    ["id", { id: undefined }],
    ["cache", { cache: undefined }],
    ["effort.low", { effort: { ...CARD.effort, low: undefined } }],
    // numbers
    ["iterations", { iterations: 0 }],
    ["iterations", { iterations: 2.5 }],
    ["iterations", { iterations: "4" }],
    ["maxIterations", { maxIterations: 1e9 }],
    ["maxIterations", { maxIterations: "1e999" }],
    ["maxIterations", { maxIterations: 3 }],
    ["effort.max", { effort: { ...CARD.effort, max: -1 } }],
    ["maxCompletionTokens", { maxCompletionTokens: 0 }],
    ["maxCompletionTokens", { maxCompletionTokens: 49 }, /context of 48/],
    ["created", { created: -5 }],
    ["created", { created: 1.5 }],
    ["quality.0.accuracy.4", { quality: [{ ...ROW, accuracy: { 4: 50 } }] }],
    ["calibration.msPerUnit", { calibration: { ...CALIBRATION, msPerUnit: { p50: 2, p95: 1 } } }, /p95/],
    ["calibration.overheadMs", { calibration: { ...CALIBRATION, overheadMs: "1e999" } }],
    // exit rules
    ["exit.criterion", { exit: { criterion: "latent-dif", threshold: 0.1 } }],
    ["exit.threshold", { exit: { criterion: "kl", threshold: -1 } }],
    ["exit.threshold", { exit: { criterion: "kl", threshold: "1e999" } }],
    ["exit.minIterations", { exit: { ...CARD.exit, minIterations: 9 } }, /above maxIterations 8/],
    ["exit", { exit: { criterion: "kl", threshold: 0.1, wake: 0.2 } }, /only rest-wake/],
    // rules that the cache cannot serve
    ["exit", { exit: { criterion: "rest-wake", threshold: 0.1 } }, /rest-wake stops rows at different depths.*latest-m1-compress-s1/],
    ["exit", { exit: { criterion: "rest-wake", threshold: 0.1 }, cache: "latest-m1" }, /keeps one iteration/],
    ["exit", { exit: { criterion: "rest-wake", threshold: 0.1 }, cache: "latest-m1-compress-s2" }, /keeps one iteration/],
    ["exit", { exit: { criterion: "prefix", threshold: 0.1 }, cache: "skip" }],
    ["exit", { exit: { criterion: "prefix", threshold: 0.1 }, cache: "randomized" }],
    // caches
    ["cache", { cache: "latest-m1-compres-s1" }, /Unknown cache strategy/],
    ["cache", { cache: "ful" }],
    ["cache", { cache: "" }],
    ["cache", { cache: "compress-s0" }],
    ["cache", { cache: 3 }],
    ["cache", { cache: "compress-s4" }, /latest-m1-compress-s4/],
    ["cache", { cache: "compress-anchor" }],
  ];
  for (const [field, change, says] of bad)
    it(`is refused at load, naming ${field}: ${JSON.stringify(change)}`, async () => {
      await expect(load({ ...CARD, ...change })).rejects.toMatchObject({
        code: "invalid_card",
        param: field,
        message: expect.stringMatching(says ?? new RegExp(`^card\\.json: ${field.replaceAll(".", "\\.")}`)),
      });
    });

  for (const json of [null, [], 3, "x"])
    it(`that is no object is refused: ${JSON.stringify(json)}`, async () => {
      await expect(load(json)).rejects.toMatchObject({ code: "invalid_card", message: expect.stringContaining("card.json") });
    });

  const good: object[] = [
    {},
    { cache: "latest-m1-compress-s1", exit: { criterion: "rest-wake", threshold: 0.1, wake: 0.2 } },
    { cache: "latest-m1", exit: { criterion: "prefix", threshold: 0.1 } },
    { exit: { criterion: "rest-wake", threshold: 0 } }, // never stops anything
    { cache: "latest-m1-compress-anchor", quality: [ROW], calibration: CALIBRATION, training: { any: 1 }, license: "MIT" },
  ];
  for (const change of good)
    it(`that is right loads: ${JSON.stringify(change)}`, async () => {
      expect((await load({ ...CARD, ...change })).card.id).toBe("tiny");
    });

  it("must fit the model: window caches that would mix the core's layers are refused", () => {
    const two = parseConfig({ ...TINY_CONFIG, n_layers_in_recurrent_block: 2 });
    const three = parseConfig({ ...TINY_CONFIG, n_layers_in_recurrent_block: 3 });
    expect(() => parseCard({ ...CARD, cache: "latest-m2-compress-s3" }, two)).toThrow(/shares slots between the 2 layers.*compress-s2/);
    expect(() => parseCard({ ...CARD, cache: "latest-m3-compress-anchor" }, three)).toThrow(expect.objectContaining({ param: "cache" }));
    for (const [cache, fit] of [
      ["latest-m2-compress-s4", two],
      ["latest-m3-compress-s3", three],
      ["latest-m2-compress-r3", two],
    ] as const)
      expect(parseCard({ ...CARD, cache }, fit).cacheStrategy.name).toBe(cache);
  });

  it("whose exit rule the backend cannot serve is refused at load", async () => {
    const folder = memoryFolder({
      "config.json": JSON.stringify({ ...TINY_CONFIG, vocab_size: 1024 }),
      "model.safetensors": tinyCheckpoint({ ...TINY_CONFIG, vocab_size: 1024 }),
      "tokenizer.json": TOKENIZER,
      "card.json": JSON.stringify({ ...CARD, cache: "latest-m1-compress-s1", exit: { criterion: "rest-wake", threshold: 0.1 } }),
    });
    const blind: typeof createReferenceBackend = async (...args) =>
      new Proxy(await createReferenceBackend(...args), {
        get: (target, name) => (name === "pressure" ? undefined : Reflect.get(target, name)),
      });
    await expect(loadModel(folder, blind)).rejects.toMatchObject({ code: "invalid_card", param: "exit" });
  });
});

describe("the shipped card", () => {
  it("is right for its model", async () => {
    const folder = diskFolder(modelPath("nano"));
    expect((await readCard(folder, await readConfig(folder))).id).toBe("nano");
  });
});

describe("a card that nobody wrote", () => {
  it("fits every model, however small its context or its recurrence", () => {
    for (const change of [{}, { block_size: 1 }, ...[1, 2, 3, 5, 32, 65536].map((mean) => ({ mean_recurrence: mean }))]) {
      const model = parseConfig({ ...TINY_CONFIG, ...change });
      const { effort } = parseCard(defaultCard("x", model), model);
      const depths = EFFORTS.map((name) => effort[name]);
      expect(depths, JSON.stringify(change)).toEqual(depths.toSorted((a, b) => a - b));
    }
  });
});

describe("quantised tensors that no kernel reads", () => {
  for (const group of [48, 16, 256, 3])
    it(`are a broken checkpoint, not a bad request: groups of ${group}`, async () => {
      const columns = 96;
      const json = { ...TINY_CONFIG, n_embd: columns, num_attention_heads: 6 };
      const parsed = parseConfig(json);
      const layout = { "transformer.wte.weight": { format: "q8", rows: 24, columns, group } };
      const file = withMetadata(tinyCheckpoint(json), { "fathom.quantised": JSON.stringify(layout) });
      const folder = memoryFolder({ "model.safetensors": file });
      await expect(createReferenceBackend(parsed, (sink) => readWeights(folder, parsed, sink))).rejects.toMatchObject({
        code: "invalid_checkpoint",
        message: expect.stringContaining(`transformer.wte.weight`),
      });
    });
});

function withMetadata(file: Uint8Array, metadata: Record<string, string>): Uint8Array {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...header }));
  const out = new Uint8Array(8 + text.length + file.length - 8 - length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(file.subarray(8 + length), 8 + text.length);
  return out;
}

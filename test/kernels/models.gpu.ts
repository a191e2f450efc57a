/**
 * Whole models on the port against the reference: every weight type and block layout, cache strategies at mixed depths,
 * rows that share a call, attention weights, growing and full memory.
 */
import { expect, it } from "vitest";
import type { Row } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { randomWeights, SIBLINGS, SMALL } from "../wasm/models.ts";
import { PROMPT, promptLogits, startState } from "./compute.ts";
import { describeOnDevice } from "./device.ts";

const OPTIONS = { capacity: 16, maxIterations: 4, cache: parseCacheStrategy("full") };
const GROUPED: ModelConfig = { ...SMALL, kvHeads: 2, qkBias: false, tiedHead: false, preludeLayers: 2 };
const BARE: ModelConfig = { ...SMALL, preludeLayers: 0, codaLayers: 0 };

describeOnDevice("a model", (host) => {
  const cases: [string, ModelConfig, format: "f32" | "q8" | "q4", floats: "f32" | "f16", tolerance: number][] = [
    ["of f32", SMALL, "f32", "f32", 5e-6],
    ["kept in f16", SMALL, "f32", "f16", 5e-3],
    ["of q8", SMALL, "q8", "f32", 5e-6],
    ["of q4", SMALL, "q4", "f32", 5e-6],
    ["with grouped heads, no bias and a head of its own", GROUPED, "f32", "f32", 5e-6],
    ["without prelude and coda", BARE, "f32", "f32", 5e-6],
    ...SIBLINGS.map(([name, config]) => [`with blocks like ${name}`, config, "f32", "f32", 2e-5] as (typeof cases)[number]),
  ];
  it.each(cases)("%s gives the reference's logits", async (_, config, format, floats, tolerance) => {
    const load = randomWeights(config, format);
    const [backend, reference] = [await host.backend({ floats })(config, load), await createReferenceBackend(config, load)];
    // an activation between two int8 values to the last bit may be rounded either way; with few steps none is
    const iterations = format === "f32" ? [3, 2, 4] : [1, 1, 2];
    const [actual, expected] = [
      await promptLogits(backend, [7, 1, 2], iterations, "full"),
      await promptLogits(reference, [7, 1, 2], iterations, "full"),
    ];
    expected.forEach((logits, i) => expectClose(actual[i]!, logits, tolerance, `logits of position ${i}`));
  });
});

describeOnDevice("the WebGPU backend", (host) => {
  it("follows every cache strategy at mixed depths", async () => {
    const load = randomWeights(SMALL);
    const [backend, reference] = [await host.backend()(SMALL, load), await createReferenceBackend(SMALL, load)];
    const names = [
      "full",
      "skip",
      "latest-m2",
      "always-last-m2",
      "latest-m2-compress-s4",
      "latest-m2-compress-r2",
      "latest-m2-compress-anchor",
    ];
    for (const name of names) {
      const [actual, expected] = [
        await promptLogits(backend, [3, 2, 4, 1], [5, 2, 7, 3], name),
        await promptLogits(reference, [3, 2, 4, 1], [5, 2, 7, 3], name),
      ];
      expected.forEach((logits, i) => expectClose(actual[i]!, logits, 5e-6, `${name}: logits of position ${i}`));
    }
    await expect(promptLogits(backend, [3, 2], [1, 3], "compress-s16")).rejects.toMatchObject({ code: "missing_cache" });
    expect(await promptLogits(backend, [3, 2], [1, 3], "randomized")).toHaveLength(5);
  });

  it("gives a row the same result whoever shares its call", async () => {
    const backend = await host.backend()(SMALL, randomWeights(SMALL, "q4"));
    const [together, alone] = [backend.openSequence(OPTIONS), backend.openSequence(OPTIONS)];
    const others = backend.prelude(PROMPT.map((token) => ({ sequence: together, token })));
    const [row] = backend.prelude([{ sequence: alone, token: 9 }]);
    backend.iterate([row!]);
    backend.iterate([...others, row!]);
    const state = await backend.latent(row!, "raw");
    const single = backend.openSequence(OPTIONS);
    const [same] = backend.prelude([{ sequence: single, token: 9 }]);
    for (let t = 0; t < 2; t++) backend.iterate([same!]);
    expectSame(await backend.latent(same!, "raw"), state);
    const [[a], [b]] = [await backend.readout([row!], [row!]), await backend.readout([...others, same!], [same!])];
    expectSame(a!, b!);
    expect([row!.iterations, others[0]!.iterations, row!.position]).toEqual([2, 1, 0]);
  });

  it("measures change and attention as the reference does", async () => {
    const load = randomWeights(SMALL);
    const [backend, reference] = [await host.backend()(SMALL, load), await createReferenceBackend(SMALL, load)];
    const seen = await Promise.all(
      [backend, reference].map(async (b) => {
        const sequence = b.openSequence({ ...OPTIONS, attention: true });
        const rows: Row[] = await b.prelude(PROMPT.map((token, i) => ({ sequence, token, state: startState(SMALL.width, i) })));
        await b.iterate(rows);
        await b.measure(rows);
        await b.iterate(rows.slice(2));
        const changes = await b.measure(rows);
        const weights = await b.attention(rows.slice(2));
        return { changes: changes.flatMap((c) => [c.distance, c.norm, c.previousNorm, c.dot]), weights: weights.flatMap((w) => [...w]) };
      }),
    );
    expectClose(seen[0]!.changes, seen[1]!.changes, 2e-6, "changes");
    expectClose(seen[0]!.weights, seen[1]!.weights, 1e-5, "attention weights");
  });

  it("forgets what is truncated", async () => {
    const load = randomWeights(SMALL);
    const backend = await host.backend()(SMALL, load);
    const sequence = backend.openSequence({ ...OPTIONS, cache: parseCacheStrategy("latest-m2") });
    const run = async (tokens: readonly number[], iterations: number): Promise<Float32Array> => {
      const rows = backend.prelude(tokens.map((token) => ({ sequence, token })));
      for (let t = 0; t < iterations; t++) backend.iterate(rows);
      const [logits] = await backend.readout(rows, rows.slice(-1));
      backend.release(rows);
      return logits!;
    };
    await run([1, 2], 3);
    const expected = await run([3], 2);
    await run([4, 5], 4);
    backend.truncate(sequence, 2);
    expect(sequence.length).toBe(2);
    expectSame(await run([3], 2), expected);
    expect(() => backend.cachedSlots(sequence)).not.toThrow();
  });

  it("accounts for memory, and refuses before anything is taken", async () => {
    const load = randomWeights(SMALL);
    const plenty = await host.backend()(SMALL, load);
    const before = plenty.memory().usedBytes;
    const opened = Array.from({ length: 9 }, () => plenty.openSequence(OPTIONS));
    for (const sequence of opened) plenty.closeSequence(sequence);
    const after = plenty.memory();
    expect(Object.values(after.owners).reduce((a, b) => a + b, 0)).toBe(after.usedBytes);
    for (let i = 0; i < 50; i++) plenty.closeSequence(plenty.openSequence(OPTIONS));
    expect(plenty.memory().usedBytes).toBe(after.usedBytes);
    const tight = await host.backend({ limitBytes: before + 4096 })(SMALL, load);
    const used = tight.memory().usedBytes;
    expect(() => tight.openSequence({ ...OPTIONS, capacity: 96, maxIterations: 100 })).toThrow(
      expect.objectContaining({ code: "out_of_memory" }),
    );
    expect(tight.memory().usedBytes).toBe(used);
  });

  it("refuses tokens and positions that there are not, with nothing taken", async () => {
    const backend = await host.backend()(SMALL, randomWeights(SMALL));
    const sequence = backend.openSequence({ ...OPTIONS, capacity: 2 });
    expect(() =>
      backend.prelude([
        { sequence, token: 1 },
        { sequence, token: SMALL.vocabSize },
      ]),
    ).toThrow(expect.objectContaining({ code: "token_out_of_range" }));
    expect(() => backend.prelude([1, 2, 3].map((token) => ({ sequence, token })))).toThrow(
      expect.objectContaining({ code: "context_overflow" }),
    );
    expect(sequence.length).toBe(0);
  });
});

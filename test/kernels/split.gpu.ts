/**
 * Buffers above what a device binds: matrices split by rows and the cache by heads give the bits that they give in one
 * piece, in every family and weight type, and what the reference gives.
 */
import { expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate } from "../../engine/decode/generate.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import type { Backend, Inspectable } from "../../engine/port/backend.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import type { WebGpuBackend } from "../../kernels/backend.ts";
import { cacheLayout } from "../../kernels/cache-layout.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { randomWeights, SIBLINGS, SMALL } from "../wasm/models.ts";
import { collect, PROMPT, startState } from "./compute.ts";
import { describeOnDevice } from "./device.ts";

/** A vocabulary whose embedding and head are larger than the limit in every weight type; heads that are whole tiles of 16 rows. */
const wordy = (config: ModelConfig): ModelConfig => ({ ...config, vocabSize: 1000, headDim: Math.ceil(config.headDim / 16) * 16 });
const HUGINN = wordy(SMALL);

/** Bytes: less than the embedding, and than the cache of a sequence of 96 positions; room for five rows of a call. */
const LIMIT = 24 << 10;

const CASES: [name: string, config: ModelConfig, format: "f32" | "q8" | "q4", floats: "f32" | "f16", threads: 64 | 256][] = [
  ["kept in f16", HUGINN, "f32", "f16", 64],
  ["of q8", HUGINN, "q8", "f32", 64],
  ["of q4, by workgroups of 256", HUGINN, "q4", "f32", 256],
  ...SIBLINGS.map(([name, config]) => [`with blocks like ${name}`, wordy(config), "f32", "f32", 64] as (typeof CASES)[number]),
];

/** Two backends compile their kernels: a minute on a busy CPU that plays the GPU. */
const PATIENCE_MS = 300_000;

describeOnDevice("a model in buffers of 24 KiB", (host) => {
  it.each(CASES)(
    "%s gives the bits of one in whole buffers",
    async (_, config, format, floats, threads) => {
      const load = randomWeights(config, format);
      const options = { floats, threads, fusedCore: false } as const;
      expect([cacheLayout(config, LIMIT).parts, cacheLayout(config, 1 << 27).parts]).toEqual([config.kvHeads, 1]);
      const split = await read(await host.backend({ ...options, largestBufferBytes: LIMIT })(config, load));
      const whole = await read(await host.backend(options)(config, load));
      expectSame(split.logits, whole.logits);
      expect(split.entries).toHaveLength(whole.entries.length);
      expectSame(split.entries, whole.entries);
      const { logits, entries } = await read(await createReferenceBackend(config, load));
      const tolerance = floats === "f16" ? 5e-3 : 2e-5;
      expectClose(split.logits, logits, tolerance, "logits");
      expectClose(split.entries, entries, tolerance, "keys and values");
    },
    PATIENCE_MS,
  );

  it(
    "attends to the same positions, and makes the same tokens on the device",
    async () => {
      const load = randomWeights(HUGINN);
      const backends = [host.backend({ fusedCore: false, largestBufferBytes: LIMIT }), host.backend({ fusedCore: false })];
      const seen = await Promise.all(
        backends.map(async (create) => {
          const backend = await create(HUGINN, load);
          return { attended: await attention(backend), tokens: await tokens(backend) };
        }),
      );
      expectSame(seen[0]!.attended, seen[1]!.attended);
      expect(seen[0]!.tokens).toEqual(seen[1]!.tokens);
      expect(seen[0]!.tokens).toHaveLength(6);
    },
    PATIENCE_MS,
  );
});

/** Logits of a prompt and of a branch behind it, at two depths; all keys and values of the prompt. */
async function read(backend: Backend & Inspectable) {
  const { width, recurrence } = backend.config;
  const parent = backend.openSequence({ capacity: 8, maxIterations: 2, cache: parseCacheStrategy("full") });
  const state = recurrence.injection === "none" ? undefined : startState(width, 1);
  const rows = await backend.prelude(
    PROMPT.slice(0, 5).map((token, i) => ({ sequence: parent, token, state: i === 1 ? state : undefined })),
  );
  await backend.iterate(rows);
  await backend.iterate(rows.slice(1));
  const logits = await backend.readout(rows, rows);
  const branch = backend.branch(parent, { capacity: 2 });
  const [row] = await backend.prelude([{ sequence: branch, token: 999 }]);
  await backend.iterate([row!]);
  const [last] = await backend.readout([row!], [row!]);
  const entries = [];
  for (const slot of await backend.cachedSlots(parent)) entries.push(await backend.cached(parent, slot, 3));
  return {
    logits: Float32Array.from([...logits, last!].flatMap((own) => [...own])),
    entries: Float32Array.from(entries.flatMap(({ key, value }) => [...key, ...value])),
  };
}

async function attention(backend: WebGpuBackend): Promise<Float32Array> {
  const sequence = backend.openSequence({ capacity: 8, maxIterations: 2, cache: parseCacheStrategy("full"), attention: true });
  const rows = backend.prelude(PROMPT.slice(0, 5).map((token) => ({ sequence, token })));
  for (let t = 0; t < 2; t++) backend.iterate(rows);
  const weights = await backend.attention(rows);
  backend.closeSequence(sequence);
  return Float32Array.from(weights.flatMap((own) => [...own]));
}

async function tokens(backend: WebGpuBackend): Promise<number[]> {
  const made = generate(backend, {
    prompt: PROMPT.slice(0, 4),
    maxTokens: 6,
    iterations: 3,
    exit: NEVER_EXIT,
    cache: parseCacheStrategy("latest-m2-compress-s2"),
    stopTokens: new Set(),
  });
  return (await collect(made)).map(({ token }) => token);
}

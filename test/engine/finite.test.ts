/**
 * Values that are not finite end a call by name on every way from logits and states to a token; temperatures near 0 are
 * greedy.
 */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { argmax, createEvaluator, probabilities, type ExitView } from "../../engine/decode/exit.ts";
import { generate, type GenerateOptions } from "../../engine/decode/generate.ts";
import { tokenLogprobs } from "../../engine/decode/logprobs.ts";
import { sample, type Sampling } from "../../engine/decode/sample.ts";
import { speculate } from "../../engine/decode/speculate.ts";
import { trace } from "../../engine/decode/trace.ts";
import { generateWavefront } from "../../engine/decode/wavefront.ts";
import { EXIT_CRITERIA, NEVER_EXIT, type ExitCriterion } from "../../engine/exit-rule.ts";
import type { Backend, StateChange } from "../../engine/port/backend.ts";
import { tinyBackend } from "../schedule/backend.ts";

const notFinite = expect.objectContaining({ name: "FathomError", code: "not_finite" });
const LOGITS = [0.5, -3, 2, 7.25, 7.125, -120];

describe("a temperature near 0", () => {
  it.each([1e-30, 1e-37, 1e-38, 1e-39, 1e-45, 1e-300, Number.MIN_VALUE])("of %s is greedy", (temperature) => {
    for (const rest of [{}, { topK: 2 }, { topP: 0.9 }, { minP: 0.1 }, { repetitionPenalty: 1.2 }])
      for (let seed = 0; seed < 20; seed++)
        expect(sample(Float32Array.from(LOGITS), { temperature, seed, ...rest }, [0], 0), JSON.stringify(rest)).toBe(3);
  });

  it.each([1e-38, Number.MIN_VALUE])("of %s takes the first of equals, and the largest of negative logits", (temperature) => {
    for (let seed = 0; seed < 20; seed++) {
      expect(sample(Float32Array.of(1, 4, 4, 2), { temperature, seed }, [], 0)).toBe(1);
      expect(sample(Float32Array.of(-9, -4, -5), { temperature, seed }, [], 0)).toBe(1);
    }
  });

  it("that is none is refused", () => {
    for (const temperature of [NaN, -1])
      expect(() => sample(Float32Array.from(LOGITS), { temperature }, [], 0)).toThrow(
        expect.objectContaining({ code: "invalid_request", param: "temperature" }),
      );
  });
});

it("a repetition penalty that overflows leaves the order of what it did not touch", () => {
  expect(sample(Float32Array.from(LOGITS), { repetitionPenalty: 1e308 }, [1, 3, 5], 0)).toBe(4);
  expect(sample(Float32Array.from(LOGITS), { repetitionPenalty: 1e-308 }, [1, 5], 0)).toBe(3);
});

describe.each([NaN, Infinity, -Infinity])("a logit of %s", (value) => {
  const damaged = [0, 3, 5].map((at) => Float32Array.from(LOGITS, (v, i) => (i === at ? value : v)));
  const ways: Record<string, Sampling> = {
    greedy: {},
    sampled: { temperature: 1 },
    "sampled at a temperature near 0": { temperature: 1e-38 },
    truncated: { temperature: 0.7, topK: 3, topP: 0.9, minP: 0.05 },
    penalised: { repetitionPenalty: 1.5 },
  };

  it.each(Object.entries(ways))("fails a %s token", (_, sampling) => {
    for (const logits of damaged) expect(() => sample(logits, sampling, [0, 3, 5], 0)).toThrow(notFinite);
  });

  it("fails argmax, softmax and log-probabilities", () => {
    for (const logits of damaged) {
      expect(() => argmax(logits)).toThrow(notFinite);
      expect(() => probabilities(logits)).toThrow(notFinite);
      expect(() => tokenLogprobs(logits, 1, 2)).toThrow(notFinite);
    }
  });

  it.each(["entropy-diff", "kl", "minp-kl", "argmax-stability"] as const)("fails the exit rule %s", (criterion) => {
    for (const logits of damaged) expect(() => createEvaluator(criterion, logits.length).next({ logits })).toThrow(notFinite);
  });
});

describe("a state that is not finite", () => {
  const change = (part: Partial<StateChange>): ExitView => ({ changes: [{ distance: 1, norm: 2, previousNorm: 2, dot: 3, ...part }] });

  it.each(["latent-diff", "cosine", "prefix", "rest-wake"] as const)("fails the exit rule %s", (criterion) => {
    expect(() => createEvaluator(criterion, 4).next(change({ distance: NaN, norm: NaN, dot: NaN }))).toThrow(notFinite);
    expect(() => createEvaluator(criterion, 4).next(change({ distance: Infinity, norm: Infinity, dot: Infinity }))).toThrow(notFinite);
  });

  it("fails second-diff", () => {
    const evaluator = createEvaluator("second-diff", 4);
    const next = (value: number): number => evaluator.next({ states: [Float32Array.of(value, 1)] });
    next(1);
    next(2);
    expect(() => next(NaN)).toThrow(notFinite);
  });

  it("is not one of zeros, which every rule can look at", () => {
    const zeros = change({ distance: 0, norm: 0, previousNorm: 0, dot: 0 });
    expect(createEvaluator("latent-diff", 4).next(zeros)).toBe(0);
    expect(createEvaluator("cosine", 4).next(zeros)).toBe(1);
    const evaluator = createEvaluator("second-diff", 4);
    for (let t = 0; t < 4; t++) expect(evaluator.next({ states: [new Float32Array(2)] })).toBe(t < 3 ? Infinity : 0);
  });
});

/** The backend with a result spoilt, as damaged weights would: logits, or how states moved. */
function spoilt(backend: Backend, what: "logits" | "changes"): Backend {
  return new Proxy(backend, {
    get(target, key) {
      if (key === "readout" && what === "logits")
        return async (...args: Parameters<Backend["readout"]>) => (await target.readout(...args)).map((l) => l.map(() => NaN));
      if (key === "measure" && what === "changes")
        return async (...args: Parameters<Backend["measure"]>) => (await target.measure(...args)).map((c) => ({ ...c, distance: NaN }));
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("a model whose values are not finite", async () => {
  const backend = await tinyBackend("reference");
  const base = {
    prompt: [3, 5, 8],
    maxTokens: 4,
    iterations: 4,
    cache: parseCacheStrategy("latest-m1-compress-s1"),
    stopTokens: new Set<number>(),
  };
  const drain = async (steps: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of steps);
  };

  it.each(EXIT_CRITERIA)("gives no token under the exit rule %s, and its memory back", async (criterion: ExitCriterion) => {
    const options: GenerateOptions = { ...base, exit: { criterion, threshold: 1e-9 } };
    await expect(drain(generate(spoilt(backend, "logits"), options))).rejects.toThrow(notFinite);
    if (["latent-diff", "prefix", "rest-wake"].includes(criterion))
      await expect(drain(generate(spoilt(backend, "changes"), options))).rejects.toThrow(notFinite);
    expect(backend.memory().usedBytes).toBe(0);
  });

  it("gives none on the other ways to decode, and no trace", async () => {
    const damaged = spoilt(backend, "logits");
    const cache = parseCacheStrategy("full");
    await expect(drain(generateWavefront(damaged, { ...base, cache }))).rejects.toThrow(notFinite);
    await expect(drain(speculate(damaged, { ...base, cache, draftIterations: 1, lookahead: 2 }))).rejects.toThrow(notFinite);
    await expect(trace(damaged, { ...base, exit: NEVER_EXIT })).rejects.toThrow(notFinite);
    expect(backend.memory().usedBytes).toBe(0);
  });
});

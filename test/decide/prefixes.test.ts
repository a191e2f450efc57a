/**
 * Inputs of decisions taken over from earlier requests: the same bits as without, whoever was there before, for fewer
 * rows; and nothing is kept that would change them.
 */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision, withPrefixes } from "../../engine/decide/decide.ts";
import { passCache } from "../../engine/decide/passes.ts";
import type { Answer, DecisionRequest, Question } from "../../engine/decide/question.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import type { BackendFactory, Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { PrefixCache, type PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { FORMS, MATCH, smallModel } from "./models.ts";

const INPUT = "An input of some length, that others begin with.";
const CHOICE: Question = { kind: "choice", instructions: "Which?", options: ["red", "green apples", "b"].map((text) => ({ text })) };
const PREDICATE: Question = { kind: "predicate", instructions: "It holds." };

const RULES: readonly ExitRule[] = [
  { criterion: "none", threshold: 0 },
  { criterion: "prefix", threshold: 0.5 },
  { criterion: "rest-wake", threshold: 0.5, wake: 0.3 },
  { criterion: "rest-wake", threshold: 0.6, wake: 0.1, minIterations: 2, checkEvery: 2 },
];

/** Requests in the order in which they come: the same input, one that goes on, one that parts early, one that is shorter. */
const REQUESTS: readonly DecisionRequest[] = [
  { input: INPUT, questions: [PREDICATE] },
  { input: INPUT, questions: [CHOICE, PREDICATE] },
  { input: `${INPUT} And more of it, and more.`, questions: [CHOICE] },
  { input: `${INPUT.slice(0, 30)} something else stands here`, questions: [PREDICATE, CHOICE] },
  { input: INPUT.slice(0, 40), questions: [CHOICE] },
  { input: `${INPUT} And more of it, and less.`, questions: [PREDICATE] },
];

interface Asking {
  readonly exit: ExitRule;
  readonly iterations?: number;
  readonly passBytes?: number;
  readonly limitBytes?: number;
  readonly signal?: AbortSignal;
}

/** A model whose requests share a cache of prefixes. */
class Isolate {
  readonly prefixes: PrefixCache;
  readonly #scheduler: Scheduler;
  readonly #model: Model;
  rows = 0;

  constructor(model: Model) {
    this.#model = model;
    this.#scheduler = new Scheduler(model.backend, { width: 7 });
    this.prefixes = new PrefixCache(this.#scheduler);
  }

  async ask(request: DecisionRequest, { exit, iterations = 9, passBytes, limitBytes = 1 << 24, signal }: Asking) {
    const lane = this.#scheduler.lane();
    const whole = prepareDecision(this.#model, request, { exit, ...(passBytes !== undefined && { passBytes }) });
    const holds: PrefixHold[] = [];
    const prepared = withPrefixes(whole, (tokens, coda) => {
      const limit = coda === "none" ? 1 : iterations;
      const terms = { exit, cache: passCache(lane.config), iterations: limit, limitBytes, minTokens: 8, coda };
      holds.push(this.prefixes.find(lane, tokens, terms));
      return holds.at(-1)!;
    });
    let succeeded = false;
    try {
      const decision = await decide(prepared, { iterations, exit, backend: lane, ...(signal && { signal }) });
      succeeded = true;
      this.rows += decision.iterations.rowIterations;
      return decision;
    } finally {
      for (const hold of holds) hold.release(succeeded);
    }
  }
}

const wasm =
  (kv: "f32" | "int8"): BackendFactory =>
  (config, load) =>
    createNodeWasmBackend(config, load, { kv });
const BACKENDS: readonly [string, BackendFactory][] = [
  ["reference", createReferenceBackend],
  ["wasm, int8 cache", wasm("int8")],
];

async function answersOf(
  isolate: Isolate,
  asking: Asking,
  requests = REQUESTS,
): Promise<{ answers: (readonly Answer[])[]; cached: number[] }> {
  const answers: (readonly Answer[])[] = [];
  const cached: number[] = [];
  for (const request of requests) {
    const decision = await isolate.ask(request, asking);
    answers.push(decision.answers);
    cached.push(decision.usage.cachedTokens);
  }
  return { answers, cached };
}

describe.each(BACKENDS)("on %s", (name, factory) => {
  const forms = name === "reference" ? (["branches"] as const) : FORMS;
  describe.each(forms)("by %s", (form) => {
    it.each(RULES)("an input taken over gives the same bits under $criterion $threshold", async (exit) => {
      const model = await smallModel(form, factory);
      const cold = await answersOf(new Isolate(model), { exit, limitBytes: 0 });
      expect(cold.cached).toEqual(REQUESTS.map(() => 0));
      const isolate = new Isolate(model);
      const warm = await answersOf(isolate, { exit });
      expect(warm.answers).toEqual(cold.answers);
      expect(warm.cached[0]).toBe(0);
      for (const [i, tokens] of warm.cached.entries()) if (i > 0) expect(tokens, `request ${i}`).toBeGreaterThanOrEqual(20);
      const again = await answersOf(isolate, { exit, passBytes: 1 });
      expect(again.answers).toEqual(cold.answers);
      isolate.prefixes.clear();
      const { "kv cache": cache = 0, rows = 0, prefixes = 0 } = model.backend.memory().owners;
      expect([cache, rows, prefixes]).toEqual([0, 0, 0]);
    });
  });
});

describe("with match", () => {
  const exit = { criterion: "prefix", threshold: 0.5 } as const;
  it.each([
    ["alone", { ...MATCH, candidates: 0 }],
    ["before branches", MATCH],
  ])("%s, an input taken over gives the same bits", async (_, match) => {
    const model = await smallModel("branches", wasm("f32"), {}, match);
    const requests = [{ input: INPUT, questions: [CHOICE] }, ...REQUESTS, { input: INPUT, questions: [CHOICE] }];
    const cold = await answersOf(new Isolate(model), { exit, limitBytes: 0 }, requests);
    const isolate = new Isolate(model);
    const warm = await answersOf(isolate, { exit }, requests);
    expect(warm.answers).toEqual(cold.answers);
    expect(warm.cached.at(-1)).toBe(INPUT.length); // all but the input's last, with the marker that it begins with
  });
});

describe("an input", () => {
  it("is taken over under any rule where there is one iteration, and not where a rule looks at all rows", async () => {
    const exit = { criterion: "latent-diff", threshold: 0.5 } as const;
    const model = await smallModel("branches", wasm("f32"));
    const one = await answersOf(new Isolate(model), { exit, iterations: 1 });
    expect(one.cached[1]).toBeGreaterThan(0);
    const cold = await answersOf(new Isolate(model), { exit, iterations: 1, limitBytes: 0 });
    expect(one.answers).toEqual(cold.answers);
    const several = await answersOf(new Isolate(model), { exit });
    expect(several.cached).toEqual(REQUESTS.map(() => 0));
  });

  it("costs its rows once", async () => {
    const exit = { criterion: "none", threshold: 0 } as const;
    const model = await smallModel("branches", wasm("f32"));
    const [cold, warm] = [new Isolate(model), new Isolate(model)];
    const same = Array.from({ length: 5 }, () => REQUESTS[0]!);
    await answersOf(cold, { exit, limitBytes: 0 }, same);
    await answersOf(warm, { exit }, same);
    expect(cold.rows - warm.rows).toBe(4 * 9 * INPUT.length);
  });

  it("is not kept of a request that failed", async () => {
    const isolate = new Isolate(await smallModel("branches", wasm("f32")));
    const asking = { exit: RULES[1]!, signal: AbortSignal.abort(new Error("gone")) };
    await expect(isolate.ask(REQUESTS[0]!, asking)).rejects.toThrow("gone");
    expect([isolate.prefixes.size, isolate.prefixes.usedBytes]).toEqual([0, 0]);
  });

  it("gives way before anybody is refused", async () => {
    const model = await smallModel("branches", (config, load) => createNodeWasmBackend(config, load, { limitBytes: 4 << 20 }));
    const isolate = new Isolate(model);
    const requests = Array.from({ length: 12 }, (_, i) => ({ input: `${i} ${INPUT.repeat(4)}`, questions: [CHOICE, PREDICATE] }));
    for (const request of requests) await isolate.ask(request, { exit: RULES[0]! });
    expect(isolate.prefixes.size).toBeGreaterThan(0);
    expect(isolate.prefixes.size).toBeLessThan(requests.length);
    isolate.prefixes.clear();
    expect(model.backend.memory().owners["prefixes"] ?? 0).toBe(0);
  });
});

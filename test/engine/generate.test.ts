import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { seededState } from "../../engine/decode/initial-state.ts";
import { NEVER_EXIT, parseExitRule } from "../../engine/exit-rule.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readWeights } from "../../engine/model/folder.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "./files.ts";

let backend: Backend;
beforeAll(async () => {
  const config = parseConfig(TINY_CONFIG);
  backend = await createReferenceBackend(config, (sink) =>
    readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink),
  );
});

const BASE: GenerateOptions = {
  prompt: [3, 5, 8],
  maxTokens: 6,
  iterations: 3,
  exit: NEVER_EXIT,
  cache: parseCacheStrategy("full"),
  stopTokens: new Set(),
};

async function run(options: Partial<GenerateOptions> = {}): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generate(backend, { ...BASE, ...options })) tokens.push(token);
  return tokens;
}

describe("generating", () => {
  it("counts rows and iterations of every call", async () => {
    const tokens = await run();
    expect(tokens.map((t) => t.rows)).toEqual([3, 1, 1, 1, 1, 1]);
    expect(tokens.map((t) => t.iterations)).toEqual([3, 3, 3, 3, 3, 3]);
    expect(tokens.map((t) => t.finish)).toEqual([undefined, undefined, undefined, undefined, undefined, "length"]);
  });

  it("ends with the first stop token", async () => {
    const all = await run();
    const stop = all[2]!.token;
    const tokens = await run({ stopTokens: new Set([stop]) });
    expect(tokens.at(-1)).toMatchObject({ token: stop, finish: "stop" });
    expect(tokens.length).toBeLessThanOrEqual(3);
  });

  it("gives the same tokens for the same seed, and states that differ by seed", async () => {
    const state = (seed: number) => ({ initialState: seededState(backend.config, seed), sampling: { temperature: 1, seed } });
    expect(await run(state(1))).toEqual(await run(state(1)));
    expect(seededState(backend.config, 1)(4)).not.toEqual(seededState(backend.config, 2)(4));
  });

  it("follows a schedule of iterations by token", async () => {
    expect((await run({ iterations: (i) => i + 1 })).map((t) => t.iterations)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("stops thinking when the rule is content, and not in the prompt where that is switched off", async () => {
    const eager = parseExitRule("latent-diff:1000");
    expect((await run({ exit: eager })).map((t) => t.iterations)).toEqual([1, 1, 1, 1, 1, 1]);
    expect((await run({ exit: { ...eager, exitInPrefill: false } })).map((t) => t.iterations)).toEqual([3, 1, 1, 1, 1, 1]);
    expect((await run({ exit: { ...eager, minIterations: 1 } })).map((t) => t.iterations)).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it("never stops at a threshold of 0", async () => {
    expect((await run({ exit: parseExitRule("latent-diff:0") })).every((t) => t.iterations === 3 && !t.exited)).toBe(true);
  });

  it("reads out the final state when the limit comes between two checks, or the checked one as the reference does", async () => {
    const rule = { ...parseExitRule("kl:1e-30"), checkEvery: 2 };
    const logitsDiffer = async () => (await run({ exit: rule, iterations: 4, lastReadout: "final" })).map((t) => t.token);
    expect(await logitsDiffer()).toEqual((await run({ iterations: 4 })).map((t) => t.token));
    expect((await run({ exit: rule, iterations: 4, lastReadout: "checked" }))[0]!.token).toBe((await run({ iterations: 3 }))[0]!.token);
  });

  it("gives its cache back when its reader goes away", async () => {
    for await (const _ of generate(backend, BASE)) break;
    expect(backend.memory().usedBytes).toBe(0);
  });

  const refused: [what: string, options: Partial<GenerateOptions>, code: string][] = [
    ["an empty prompt", { prompt: [] }, "empty_prompt"],
    ["a prompt longer than the context", { prompt: Array<number>(49).fill(3) }, "context_overflow"],
    ["more tokens than the context has room for", { maxTokens: 47 }, "context_overflow"],
    ["no tokens", { maxTokens: 0 }, "invalid_request"],
    ["a token outside the vocabulary", { prompt: [3, 24] }, "token_out_of_range"],
    ["a token that is no whole number", { prompt: [1.5] }, "token_out_of_range"],
  ];
  for (const [what, options, code] of refused)
    it(`refuses ${what} and holds nothing afterwards`, async () => {
      await expect(run(options)).rejects.toMatchObject({ code });
      expect(backend.memory().usedBytes).toBe(0);
    });
});

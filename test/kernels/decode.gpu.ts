/**
 * Tokens made wholly on the device: the same as step by step, in every rule, warm start and strategy that the device
 * decides; and what they cost in submits and read-backs.
 */
import { expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { NEVER_EXIT, type ExitRule } from "../../engine/exit-rule.ts";
import type { WeightSink } from "../../engine/model/checkpoint.ts";
import type { WebGpuBackend } from "../../kernels/backend.ts";
import { expectClose } from "../wasm/compare.ts";
import { randomWeights, SMALL } from "../wasm/models.ts";
import { collect, PROMPT, startState } from "./compute.ts";
import { describeOnDevice, type TestDevice } from "./device.ts";

const OPTIONS: GenerateOptions = {
  prompt: PROMPT,
  maxTokens: 33,
  iterations: 6,
  exit: { criterion: "latent-diff", threshold: 0.6 },
  cache: parseCacheStrategy("full"),
  stopTokens: new Set(),
};

const LATENT: ExitRule = { criterion: "latent-diff", threshold: 0.69, minIterations: 1 };
const COSINE: ExitRule = { criterion: "cosine", threshold: 0.25, minIterations: 1, checkEvery: 2 };
const WAYS: [string, Partial<GenerateOptions>][] = [
  ["at fixed depth", { exit: NEVER_EXIT, iterations: (index) => [4, 0, 3, 1][index % 4]! }],
  ["with latent-diff", { exit: LATENT }],
  [
    "with cosine every second iteration, from zeros",
    { exit: { ...COSINE, minIterations: 0, threshold: 0.3 }, cache: parseCacheStrategy("latest-m2") },
  ],
  ["with warm starts", { exit: LATENT, warmStart: "raw", cache: parseCacheStrategy("latest-m2-compress-s2") }],
  ["with normalised warm starts", { exit: COSINE, warmStart: "normalised", cache: parseCacheStrategy("always-last-m2") }],
  ["from given states", { exit: LATENT, initialState: (position) => startState(SMALL.width, position) }],
];

/** What each of WAYS gives; the same for both ways to run the core. */
const stepByStep: Record<string, Promise<GeneratedToken[]>> = {};

describeOnDevice("tokens made on the device, one dispatch after the other", (host) => tests(host, false));
describeOnDevice("tokens made on the device, with a fused core", (host) => tests(host, true));

function tests(host: TestDevice, isFused: boolean): void {
  let opened: Promise<WebGpuBackend> | undefined;
  const open = (): Promise<WebGpuBackend> => (opened ??= host.backend({ fusedCore: isFused })(SMALL, randomWeights(SMALL)));

  it.each(WAYS)("are those made step by step, %s", async (name, way) => {
    const backend = await open();
    const options = { ...OPTIONS, maxTokens: 8, ...way };
    const expected = await (stepByStep[name] ??= collect(generate(backend, { ...options, chunks: false })));
    const made = await collect(generate(backend, { ...options, chunks: { size: 5 } }));
    expect(made.map(withoutValues)).toEqual(expected.map(withoutValues));
    const values = (tokens: readonly GeneratedToken[]): number[] =>
      tokens.flatMap((token) => token.exitValues.map((v) => (Number.isNaN(v) ? -1 : v)));
    if (options.exit.criterion !== "none") expectClose(values(made), values(expected), 1e-5, "exit values");
    if (options.exit.criterion !== "none") expect(new Set(made.map((token) => token.iterations)).size).toBeGreaterThan(1);
  });

  it("take one submit and one read-back for 16 of them", async () => {
    const backend = await open();
    const tokens = generate(backend, { ...OPTIONS, chunks: { ahead: false } });
    await tokens.next();
    const before = { ...backend.activity };
    const rest = await collect(tokens);
    expect(rest).toHaveLength(32);
    expect(backend.activity.submits - before.submits).toBe(2);
    expect(backend.activity.readBacks - before.readBacks).toBe(2);
    // a token: begin, embed + 5 P + finish, r (adapter + 5 C + advance) or one for the fused core, 5 D + finish, head, finish
    const core = isFused ? 1 : 6 * 12;
    expect(backend.activity.dispatches - before.dispatches).toBe(32 * (1 + 7 + core + 11 + 1 + 1));
  });

  it("end with a stop token, and leave the backend fit for the next request", async () => {
    const backend = await open();
    const all = await collect(generate(backend, { ...OPTIONS, maxTokens: 5, chunks: false }));
    const stop = all[4]!.token;
    const options = { ...OPTIONS, maxTokens: 8, stopTokens: new Set([stop]) };
    const expected = all.slice(0, all.findIndex((token) => token.token === stop) + 1);
    for (const ahead of [true, false]) {
      const tokens = await collect(generate(backend, { ...options, chunks: { ahead, size: 3 } }));
      expect(tokens.map(({ token }) => token)).toEqual(expected.map(({ token }) => token));
      expect(tokens.at(-1)).toMatchObject({ token: stop, finish: "stop" });
    }
  });

  it("come for several requests in one submit, each at its own depth", async () => {
    const backend = await open();
    const begin = async (prompt: readonly number[]) => {
      const sequence = backend.openSequence({ capacity: 24, maxIterations: 6, cache: OPTIONS.cache });
      const rows = backend.prelude(prompt.map((token) => ({ sequence, token })));
      const shared = {
        maxTokens: 8,
        exit: LATENT,
        stopTokens: new Set<number>(),
        warmStart: "off",
        initialState: () => undefined,
      } as const;
      for (let t = 0; t < 3; t++) backend.iterate(rows);
      await backend.readout(rows, []);
      return backend.openChain({ row: rows.at(-1)!, token: prompt[0]!, ...shared })!;
    };
    const limits = [3, 6, 1, 0, 6];
    const alone = [
      (await backend.makeTokens([await begin([1, 2])], [limits]))[0],
      (await backend.makeTokens([await begin([7, 8, 9])], [[6, 6, 6]]))[0],
    ];
    const { submits } = backend.activity;
    const chains = [await begin([1, 2]), await begin([7, 8, 9])];
    const before = backend.activity.submits;
    expect(before).toBeGreaterThan(submits);
    expect(await backend.makeTokens(chains, [limits, [6, 6, 6]])).toEqual(alone);
    expect(backend.activity.submits - before).toBe(1);
  });

  it("are an error where logits are not finite, never a token", async () => {
    const load = (sink: WeightSink): Promise<void> =>
      randomWeights(SMALL)({
        ...sink,
        vector(name, length) {
          const writer = sink.vector(name, length);
          return name.includes("ln_f") ? { ...writer, write: (chunk) => writer.write(chunk.map(() => 0x7f)) } : writer; // 3.4e38
        },
      });
    const backend = await host.backend({ fusedCore: isFused })(SMALL, load);
    const sequence = backend.openSequence({ capacity: 8, maxIterations: 2, cache: OPTIONS.cache });
    const [row] = backend.prelude([{ sequence, token: 1 }]);
    const begin = { row: row!, token: 1, maxTokens: 3, exit: NEVER_EXIT, stopTokens: new Set<number>() };
    const chain = backend.openChain({ ...begin, warmStart: "off", initialState: () => undefined })!;
    await expect(backend.makeTokens([chain], [[1, 1]])).rejects.toMatchObject({ code: "not_finite" });
  });

  it("are left to the step-by-step path where the device cannot decide", async () => {
    const backend = await open();
    const submits = async (options: Partial<GenerateOptions>): Promise<number> => {
      const before = backend.activity.readBacks;
      await collect(generate(backend, { ...OPTIONS, exit: NEVER_EXIT, iterations: 3, maxTokens: 5, ...options }));
      return backend.activity.readBacks - before;
    };
    expect(await submits({})).toBe(2);
    expect(await submits({ sampling: { temperature: 0.7 } })).toBe(5);
    expect(await submits({ logprobs: 2 })).toBe(5);
    expect(await submits({ exit: { criterion: "kl", threshold: 1e-3 } })).toBeGreaterThan(5);
  });
}

/** The device's values are f32, the host's f64: they are compared apart. */
function withoutValues({ exitValues, ...token }: GeneratedToken): unknown {
  return { ...token, checks: exitValues.length };
}

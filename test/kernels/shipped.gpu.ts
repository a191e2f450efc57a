/**
 * The shipped model has the same tokens on the device as in Wasm; and where the device is destroyed in the middle of a
 * stream, the Wasm backend ends it with the tokens that the device would have given.
 */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import type { Backend } from "../../engine/port/backend.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../../engine/decode/generate.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { withFallback } from "../../engine/failover/fallback.ts";
import { collect } from "./compute.ts";
import { describeOnDevice } from "./device.ts";

/** With keys and values in f32, as the device keeps them. */
const createWasm = (...[config, load]: Parameters<typeof createNodeWasmBackend>): Promise<Backend> =>
  createNodeWasmBackend(config, load, { kv: "f32" });

const FOLDER = diskFolder(fileURLToPath(new URL("../../models/nano", import.meta.url)));
const QUESTIONS = ["Ada lies. Bo says Ada lies. Does Bo tell the truth?", "17 + 25 - 9 =", "not (true and false) or false ="];

function optionsFor({ text, config, card }: Model, question: string): GenerateOptions {
  const cache = card.cacheStrategy;
  const exit = { criterion: "latent-diff", threshold: 0.03 } as const;
  return {
    prompt: text.encodeChat([{ role: "user", content: question }]),
    maxTokens: 8,
    iterations: 8,
    exit,
    cache,
    stopTokens: new Set(config.eosTokens),
  };
}

const tokensOf = (all: readonly GeneratedToken[]): unknown[] => all.map(({ token, iterations, finish }) => [token, iterations, finish]);

describeOnDevice("the shipped model", (host) => {
  it("has the Wasm backend's tokens", async () => {
    const [gpu, wasm] = [await loadModel(FOLDER, host.backend()), await loadModel(FOLDER, createWasm)];
    for (const question of QUESTIONS) {
      const options = optionsFor(wasm, question);
      const expected = tokensOf(await collect(generate(wasm.backend, options)));
      expect(tokensOf(await collect(generate(gpu.backend, options)))).toEqual(expected);
    }
  });
});

describeOnDevice("a device destroyed mid-stream", (host) => {
  it("loses and doubles no token", async () => {
    const log: string[] = [];
    const model = await loadModel(
      FOLDER,
      withFallback(host.backend(), createWasm, (line) => log.push(line)),
    );
    const options = { ...optionsFor(model, QUESTIONS[0]!), stopTokens: new Set<number>() };
    const expected = tokensOf(await collect(generate(model.backend, options)));
    const seen: GeneratedToken[] = [];
    for await (const token of generate(model.backend, { ...options, chunks: { size: 3 } })) {
      seen.push(token);
      if (seen.length === 3) host.gpu.destroy();
    }
    expect(tokensOf(seen)).toEqual(expected);
    expect(log).toEqual(["The webgpu backend went away: The GPU device was lost (device was destroyed). 1 sequence goes on without it."]);
    expect(model.backend.name).toBe("wasm");
  });
});

/**
 * wllama: llama.cpp compiled to Wasm, one thread. It tells its own times.
 */
import { FILE_HOST, installBrowser } from "./browser-worker.ts";
import { fileURLToPath } from "node:url";
import { benchPrompt, NEW_TOKENS } from "../model.ts";
import type { DecodeRun } from "../decode-run.ts";
import { CONTEXT, type Peer, type PreparedPeer } from "./engine.ts";
import { ggufFile, type GgufFormat } from "./gguf-file.ts";

interface Timings {
  readonly prompt_per_second: number;
  readonly predicted_per_second: number;
}

export function wllama(format: GgufFormat): Peer {
  return {
    engine: "wllama 3.8",
    format,
    async prepare(): Promise<PreparedPeer> {
      installBrowser();
      const { Wllama } = await import("@wllama/wllama/esm/index.js");
      const wasm = fileURLToPath(new URL("node_modules/@wllama/wllama/esm/wasm/wllama.wasm", import.meta.url));
      const silent = { debug() {}, log() {}, warn() {}, error: console.error };
      const engine = new Wllama({ default: FILE_HOST + wasm } as never, { suppressNativeLog: true, cacheManager: {}, modelManager: {}, logger: silent } as never);
      await engine.loadModel([new Blob([ggufFile(format)])], { n_threads: 1, n_gpu_layers: 0, n_ctx: CONTEXT, n_batch: 512, n_parallel: 1, warmup: false } as never);
      // a token a letter; the begin token and the leading space make up the rest
      const prompt = benchPrompt().slice(2).map((token) => String.fromCharCode(97 + (token % 26))).join("");
      return {
        async round(): Promise<DecodeRun> {
          const options = { prompt, max_tokens: NEW_TOKENS, n_predict: NEW_TOKENS, ignore_eos: true, cache_prompt: false, temperature: 0, samplers: ["top_k"], top_k: 1 };
          const { timings } = (await engine.createCompletion(options as never)) as unknown as { timings: Timings };
          return { prefillTokensPerSecond: timings.prompt_per_second, decodeTokensPerSecond: timings.predicted_per_second };
        },
        close: () => engine.exit(),
      };
    },
  };
}

/**
 * llama.cpp as native code on one thread (node-llama-cpp's own build for this machine): what no Wasm has, and the bar.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getLlama } from "node-llama-cpp";
import { tokensPerSecond, type DecodeRun } from "../decode-run.ts";
import { benchPrompt, NEW_TOKENS } from "../model.ts";
import { CONTEXT, type Peer, type PreparedPeer } from "./engine.ts";
import { ggufFile, type GgufFormat } from "./gguf-file.ts";

export function llamaNative(format: GgufFormat): Peer {
  return {
    engine: "llama.cpp native",
    format,
    async prepare(): Promise<PreparedPeer> {
      const folder = await mkdtemp(join(tmpdir(), "fathom-bench-"));
      const modelPath = join(folder, `${format}.gguf`);
      await writeFile(modelPath, ggufFile(format));
      const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1, logLevel: "error" as never });
      const model = await llama.loadModel({ modelPath });
      const context = await model.createContext({ contextSize: CONTEXT, threads: 1, batchSize: 512, flashAttention: true });
      const sequence = context.getSequence();
      return {
        async round(): Promise<DecodeRun> {
          await sequence.clearHistory();
          const start = performance.now();
          const tokens = sequence.evaluate(benchPrompt() as never[], { temperature: 0 });
          await tokens.next();
          const first = performance.now();
          for (let i = 1; i < NEW_TOKENS; i++) await tokens.next();
          const end = performance.now();
          await tokens.return(undefined as never);
          return tokensPerSecond(first - start, end - first);
        },
        async close() {
          await context.dispose();
          await model.dispose();
          await rm(folder, { recursive: true });
        },
      };
    },
  };
}

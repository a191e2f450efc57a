/**
 * onnxruntime-web as an engine to be timed: the very model that another backend is timed on, its graphs made in memory
 * from the same checkpoint. Greedy runs like those of the benchmark: a prompt in one call, then a row a token.
 */
import type { Backend } from "../engine/port/backend.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { createNodeOnnxBackend } from "../onnx/node.ts";
import { ONNX_FORMATS, type OnnxFormat } from "../onnx/weights.ts";

export interface OnnxBenchOptions {
  readonly config: ModelConfig;
  /** Streams the checkpoint; called once a format. Quantised weights are widened first. */
  readonly load: (sink: WeightSink) => Promise<void>;
  /** Token ids. */
  readonly prompt: readonly number[];
  readonly newTokens: number;
  /** Core iterations of every row. [default 1] */
  readonly iterations?: number;
  /** [default f32 and int8] */
  readonly formats?: readonly OnnxFormat[];
  /** Repetitions a round, of which the fastest counts. [default 3] */
  readonly repetitions?: number;
}

export interface TokenRates {
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
}

export interface OnnxBenchEngine {
  readonly engine: string;
  readonly format: OnnxFormat;
  /** Loads the model. */
  prepare(): Promise<{ round(): Promise<TokenRates>; close(): Promise<void> }>;
}

/** One engine a format. */
export function onnxBenchEngines(options: OnnxBenchOptions): OnnxBenchEngine[] {
  const { config, load, formats = ONNX_FORMATS } = options;
  return formats.map((format) => ({
    engine: "onnxruntime-web",
    format,
    async prepare() {
      const backend = await createNodeOnnxBackend(config, load, format);
      return { round: () => round(backend, options), close: () => backend.close() };
    },
  }));
}

async function round(backend: Backend, { prompt, newTokens, iterations = 1, repetitions = 3 }: OnnxBenchOptions): Promise<TokenRates> {
  let [prefillMs, decodeMs] = [Infinity, Infinity];
  for (let n = 0; n < repetitions; n++) {
    const cache = parseCacheStrategy("full");
    const sequence = backend.openSequence({ capacity: prompt.length + newTokens, maxIterations: iterations, cache });
    const step = async (tokens: readonly number[]): Promise<number> => {
      const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
      for (let t = 0; t < iterations; t++) await backend.iterate(rows);
      const [logits] = await backend.readout(rows, rows.slice(-1));
      backend.release(rows);
      return logits!.reduce((best, v, i) => (v > logits![best]! ? i : best), 0);
    };
    const start = performance.now();
    let token = await step(prompt);
    const first = performance.now();
    for (let i = 1; i < newTokens; i++) token = await step([token]);
    decodeMs = Math.min(decodeMs, performance.now() - first);
    prefillMs = Math.min(prefillMs, first - start);
    backend.closeSequence(sequence);
  }
  return { prefillTokensPerSecond: (1000 * prompt.length) / prefillMs, decodeTokensPerSecond: (1000 * (newTokens - 1)) / decodeMs };
}

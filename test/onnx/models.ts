/**
 * What tests of the ONNX backend share: the shipped model in f32 for any backend, its prompts, and greedy answers.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { diskFolder } from "../../cli/files.ts";
import type { Backend } from "../../engine/port/backend.ts";
import type { WeightSink } from "../../engine/model/checkpoint.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { readConfig, readWeights, type ModelFolder } from "../../engine/model/folder.ts";
import { dequantise, quantisedBytes } from "../../engine/model/quantised.ts";
import { readTokenizer } from "../../engine/model/tokenizer.ts";

export type Load = (sink: WeightSink) => Promise<void>;

export const NANO: ModelFolder = diskFolder(fileURLToPath(new URL("../../models/nano", import.meta.url)));

export async function nanoF32(): Promise<{ config: ModelConfig; load: Load }> {
  const config = await readConfig(NANO);
  return { config, load: widened((sink) => readWeights(NANO, config, sink)) };
}

/** The same weights with every quantised matrix as the f32 values that it stands for. */
function widened(load: Load): Load {
  return (sink) =>
    load({
      vector: (name, length) => sink.vector(name, length),
      matrix(name, layout) {
        if (layout.format === "f32") return sink.matrix(name, layout);
        const packed = new Uint8Array(quantisedBytes(layout));
        let at = 0;
        return {
          write(chunk) {
            packed.set(chunk, at);
            at += chunk.length;
          },
          done() {
            const writer = sink.matrix(name, { format: "f32", rows: layout.rows, columns: layout.columns });
            writer.write(new Uint8Array(dequantise(packed, layout).buffer));
            writer.done();
          },
        };
      },
    });
}

const TASKS = ["liar", "arithmetic", "boolean", "navigation"];

/** Held-out problems as prompts, tasks in turn, spread over all levels. */
export async function nanoPrompts(config: ModelConfig, count: number): Promise<number[][]> {
  const text = await readTokenizer(NANO, config);
  const files = TASKS.map((task) =>
    readFileSync(fileURLToPath(new URL(`../../models/nano/eval/${task}.jsonl`, import.meta.url)), "utf8")
      .trim()
      .split("\n"),
  );
  return Array.from({ length: count }, (_, i) => {
    const lines = files[i % files.length]!;
    const line = lines[Math.floor((i / count) * lines.length)]!;
    return text.encodeChat([{ role: "user", content: (JSON.parse(line) as { prompt: string }).prompt }]);
  });
}

export interface Answer {
  readonly tokens: number[];
  /** Of each token, [vocabSize]. */
  readonly logits: Float32Array[];
}

/** Greedy tokens of a prompt at fixed depth, with the logits that decided them. */
export async function greedy(backend: Backend, prompt: readonly number[], iterations: number, maxTokens: number): Promise<Answer> {
  const { config } = backend;
  const cache = { name: "full", lookup: "full", sharing: { kind: "none" } } as const;
  const sequence = backend.openSequence({ capacity: prompt.length + maxTokens, maxIterations: iterations, cache });
  const answer: Answer = { tokens: [], logits: [] };
  for (
    let fresh = prompt;
    answer.tokens.length < maxTokens && !config.eosTokens.includes(answer.tokens.at(-1)!);
    fresh = answer.tokens.slice(-1)
  ) {
    const rows = await backend.prelude(fresh.map((token) => ({ sequence, token })));
    for (let t = 0; t < iterations; t++) await backend.iterate(rows);
    const [logits] = await backend.readout(rows, rows.slice(-1));
    backend.release(rows);
    answer.logits.push(logits!);
    answer.tokens.push(logits!.reduce((best, v, i) => (v > logits![best]! ? i : best), 0));
  }
  backend.closeSequence(sequence);
  return answer;
}

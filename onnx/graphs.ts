/**
 * The exporter: prelude, core and coda with the head, as three ONNX graphs. Iteration stays outside: a caller runs
 * `core` as often as it likes, so depth remains a run-time choice.
 */
import { ADAPTER, EMBEDDING, FINAL_NORM, HEAD } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { block, linear, rmsNorm, rotaryConstants, type BlockContext } from "./blocks.ts";
import { GraphBuilder } from "./builder.ts";
import { DATA_TYPES, encodeOnnx, type OnnxGraph } from "./encode.ts";
import { layersOf, type Stage } from "../engine/model/stage.ts";
import { signatureOf } from "./signature.ts";
import type { OnnxWeights } from "./weights.ts";

const DESCRIPTIONS: Readonly<Record<Stage, string>> = {
  prelude: "Recurrent-depth model, prelude: token ids to the embedded input e. Run once a token.",
  core: "Recurrent-depth model, one core iteration: s and e to the next s. Run as often as there is time to think.",
  coda: "Recurrent-depth model, coda and head: s to logits. Run when an answer is wanted, after any iteration.",
};

/** One graph's file. @throws {FathomError} invalid_request where it exceeds what an ONNX file can hold */
export function exportGraph(config: ModelConfig, weights: OnnxWeights, name: Stage): Uint8Array<ArrayBuffer> {
  return encodeOnnx(buildGraph(config, weights, name), { "fathom.graph": name, "fathom.format": weights.format });
}

export function buildGraph(config: ModelConfig, weights: OnnxWeights, name: Stage): OnnxGraph {
  const g = new GraphBuilder();
  const c: BlockContext = { g, config, weights };
  if (layersOf(config, name) > 0) rotaryConstants(c);
  const build = { prelude: buildPrelude, core: buildCore, coda: buildCoda }[name];
  build(c);
  return g.finish(name, DESCRIPTIONS[name], signatureOf(config, name));
}

function buildPrelude(c: BlockContext): void {
  const { g, config } = c;
  let x = g.add("Mul", [lookUp(c, "tokens"), g.scalar(config.embedScale)]);
  for (let i = 0; i < config.preludeLayers; i++) x = block(c, "prelude", i, x);
  g.add("Identity", [x], {}, "embedded");
}

function buildCore(c: BlockContext): void {
  const { g, config } = c;
  const { injection, finalNorm } = config.recurrence;
  let x = injection === "adapter" ? adapted(c) : "state";
  for (let i = 0; i < config.coreLayers; i++) x = block(c, "core", i, x);
  if (finalNorm.includes("iteration")) rmsNorm(c, x, FINAL_NORM, "next_state");
  else g.add("Identity", [x], {}, "next_state");
}

/** The adapter over [s | e]; where the first iteration goes without, e for rows that have none behind them. */
function adapted(c: BlockContext): string {
  const { g, config } = c;
  const x = linear(c, g.add("Concat", ["state", "embedded"], { axis: 1 }), ADAPTER);
  if (!config.recurrence.skipsAdapter) return x;
  const zero = g.weight("no_iterations", { type: "int32", shape: [], data: Int32Array.of(0) });
  const isFirst = g.add("Unsqueeze", [g.add("Equal", ["iterations", zero]), g.sizes(1)]);
  return g.add("Where", [isFirst, "embedded", x]);
}

function buildCoda(c: BlockContext): void {
  const { g, config } = c;
  const { finalNorm } = config.recurrence;
  if (finalNorm.includes("coda")) rmsNorm(c, "state", FINAL_NORM, "latent");
  else g.add("Identity", ["state"], {}, "latent");
  let x = "latent";
  for (let i = 0; i < config.codaLayers; i++) x = block(c, "coda", i, x);
  const asked = g.add("Gather", [x, "heads"], { axis: 0 });
  if (finalNorm.includes("head")) rmsNorm(c, asked, FINAL_NORM, "head_input");
  else g.add("Identity", [asked], {}, "head_input");
  g.add("Identity", [linear(c, "head_input", config.tiedHead ? EMBEDDING : HEAD)], {}, "logits");
}

/** Rows of the embedding, [rows, width] f32. */
function lookUp({ g, weights }: BlockContext, ids: string): string {
  const matrix = weights.matrices.get(EMBEDDING)!;
  const shape = [matrix.rows, matrix.columns];
  if (matrix.format === "f32") return g.add("Gather", [g.weight(EMBEDDING, { type: "float32", shape, data: matrix.values }), ids]);
  const integers = g.add("Gather", [g.weight(EMBEDDING, { type: "int8", shape, data: matrix.integers }), ids]);
  const scales = g.weight(`${EMBEDDING}.scale`, { type: "float32", shape: [matrix.rows, 1], data: matrix.scales });
  return g.add("Mul", [g.add("Cast", [integers], { to: DATA_TYPES.float32 }), g.add("Gather", [scales, ids])]);
}

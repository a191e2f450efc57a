/**
 * Ways to an ONNX backend: from a checkpoint, whose graphs are made in memory by the exporter's own code, or from a
 * folder that `fathom export` wrote.
 */
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { checkedFolder } from "../engine/model/file-list.ts";
import type { ModelFolder } from "../engine/model/folder.ts";
import { OnnxBackend, type Graphs, type OnnxBackendOptions } from "./backend.ts";
import { graphFile, readExported, readGraph } from "./folder.ts";
import { exportGraph } from "./graphs.ts";
import { openGraph, type OnnxRuntime, type Provider } from "./session.ts";
import { STAGES, type Stage } from "../engine/model/stage.ts";
import { signatureOf } from "./signature.ts";
import type { ExitGate } from "../engine/port/backend.ts";
import { collectWeights, gateOf, type OnnxFormat } from "./weights.ts";

/** The onnxruntime-web build that graphs run on. */
export interface OnnxHost extends OnnxBackendOptions {
  /** The host's build of onnxruntime-web. */
  readonly runtime: OnnxRuntime;
  /** Where the runtime computes. [default "wasm"] */
  readonly provider?: Provider;
}

/**
 * Loads a checkpoint. Quantised weights are widened to the values they stand for; activations stay f32, so answers are
 * those of the f32 form.
 * @param load streams the checkpoint into the sink it is given (see `readCheckpoint`)
 * @param format of the weights in the graphs [default "f32"]
 * @throws {FathomError} unavailable, and whatever `load` finds wrong with the checkpoint
 */
export async function createOnnxBackend(
  host: OnnxHost,
  config: ModelConfig,
  load: (sink: WeightSink) => Promise<void>,
  format: OnnxFormat = "f32",
): Promise<OnnxBackend> {
  const weights = await collectWeights(format, load);
  return openAll(host, config, gateOf(weights.vectors), async (graph) => [`the ${graph} graph`, exportGraph(config, weights, graph)]);
}

/**
 * Loads a folder that `fathom export --format onnx` wrote. Fits `loadModel`, which brings the rest of the folder.
 * @throws {FathomError} unavailable, invalid_config, invalid_checkpoint naming the file and what is wrong with it
 * @example
 * const model = await loadModel(folder, () => openOnnxFolder(host, folder));
 */
export async function openOnnxFolder(host: OnnxHost, from: ModelFolder): Promise<OnnxBackend> {
  const folder = await checkedFolder({ ...from, notice: () => undefined }); // loadModel tells
  const { config, exitGate } = await readExported(folder);
  return openAll(host, config, exitGate, async (graph) => [`${folder.name}/${graphFile(graph)}`, await readGraph(folder, graph)]);
}

async function openAll(
  { runtime, provider = "wasm", ...options }: OnnxHost,
  config: ModelConfig,
  exitGate: ExitGate | undefined,
  read: (graph: Stage) => Promise<[file: string, bytes: Uint8Array]>,
): Promise<OnnxBackend> {
  const graphs: Partial<Record<Stage, Awaited<ReturnType<typeof openGraph>>>> = {};
  try {
    for (const graph of STAGES) graphs[graph] = await openGraph(runtime, ...(await read(graph)), signatureOf(config, graph), provider);
  } catch (error) {
    for (const graph of Object.values(graphs)) await graph.close();
    throw error;
  }
  return new OnnxBackend(config, graphs as Graphs, exitGate, provider, options);
}

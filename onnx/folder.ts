/**
 * A folder that `fathom export` wrote: the model's own config.json, the graphs and a note on them. Names and checks; what
 * is in a graph is checked when the runtime opens it.
 */
import { FathomError } from "../engine/errors.ts";
import type { FamilyName, ModelConfig } from "../engine/model/config.ts";
import { FAMILY_NAMES } from "../engine/model/families/index.ts";
import { parseJson, readConfigFor, type ModelFolder } from "../engine/model/folder.ts";
import type { ByteSource } from "../engine/model/safetensors.ts";
import { OPSET } from "./encode.ts";
import { STAGES, type Stage } from "../engine/model/stage.ts";
import type { ExitGate } from "../engine/port/backend.ts";
import { gateOf, ONNX_FORMATS, type OnnxFormat, type OnnxWeights } from "./weights.ts";

/** The file of a graph in an exported folder. */
export function graphFile(graph: Stage): string {
  return `${graph}.onnx`;
}

/** What an exported folder says of its graphs, beside the model's own config.json. */
export const MANIFEST = "onnx.json";

export interface Manifest {
  readonly format: OnnxFormat;
  readonly opset: number;
  /** Whose blocks the graphs have: the checkpoint, which would tell, stays behind. */
  readonly family: FamilyName;
  /** Weights of the learned exit gate, of families that have one. */
  readonly exitGate?: { readonly weight: readonly number[]; readonly bias: number };
}

export function manifestOf(config: ModelConfig, { format, vectors }: OnnxWeights): Manifest {
  const gate = gateOf(vectors);
  return { format, opset: OPSET, family: config.family, ...(gate && { exitGate: { weight: [...gate.weight], bias: gate.bias } }) };
}

/** Whether a folder holds graphs, not a checkpoint. */
export async function isExported(folder: ModelFolder): Promise<boolean> {
  return (await folder.readText(MANIFEST)) !== undefined;
}

/** @throws {FathomError} invalid_config, invalid_checkpoint */
export async function readExported(folder: ModelFolder): Promise<{ config: ModelConfig; exitGate: ExitGate | undefined }> {
  const text = await folder.readText(MANIFEST);
  if (text === undefined)
    throw new FathomError("invalid_checkpoint", `${folder.name} has no ${MANIFEST}; make the folder with fathom export.`, MANIFEST);
  const manifest = parseJson(folder, MANIFEST, text, "invalid_checkpoint") as Partial<Manifest> | null;
  const family = FAMILY_NAMES.find((name) => name === manifest?.family);
  if (family === undefined || !ONNX_FORMATS.includes(manifest!.format!))
    throw new FathomError(
      "invalid_checkpoint",
      `${folder.name}/${MANIFEST} holds ${text.slice(0, 80).trim()}; expected {"format": ${quoted(ONNX_FORMATS)}, "family": ${quoted(FAMILY_NAMES)}}.`,
      MANIFEST,
    );
  const config = await readConfigFor(folder, family);
  return { config, exitGate: config.recurrence.exitGate ? readGate(folder, config, manifest!) : undefined };
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(" or ");
}

function readGate(folder: ModelFolder, { width }: ModelConfig, { exitGate }: Partial<Manifest>): ExitGate {
  const numbers = [...(Array.isArray(exitGate?.weight) ? exitGate.weight : []), exitGate?.bias];
  if (numbers.length !== width + 1 || !numbers.every((n) => typeof n === "number" && Number.isFinite(n)))
    throw new FathomError(
      "invalid_checkpoint",
      `${folder.name}/${MANIFEST} has no exitGate of ${width} weights and a bias; export the model anew.`,
      MANIFEST,
    );
  return { weight: Float32Array.from(exitGate!.weight), bias: exitGate!.bias };
}

/** A graph's file as it is. @throws {FathomError} invalid_checkpoint where there is none */
export async function readGraph(folder: ModelFolder, graph: Stage): Promise<Uint8Array> {
  const file = graphFile(graph);
  const source = await folder.open(file);
  if (source === undefined)
    throw new FathomError(
      "invalid_checkpoint",
      `${folder.name} has no ${file}; an exported model has ${STAGES.map(graphFile).join(", ")}.`,
      file,
    );
  return readAll(source);
}

async function readAll(source: ByteSource): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source.open()) {
    chunks.push(chunk.slice()); // a chunk is valid until the next one is asked for
    length += chunk.length;
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

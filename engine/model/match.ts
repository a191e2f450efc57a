/**
 * The two small matrices by which a model compares a question with an option without thinking: read from a file of the
 * folder, checked against the card. Not here: what they are applied to (engine/decide/match.ts).
 */
import { FathomError } from "../errors.ts";
import type { ModelCard } from "./card.ts";
import { collectBytes } from "./collect.ts";
import type { ModelConfig } from "./config.ts";
import { finiteFloats } from "./finite.ts";
import { floatsToF32 } from "./floats.ts";
import type { ModelFolder } from "./folder.ts";
import { readSafetensors, type TensorInfo } from "./safetensors.ts";

export interface MatchWeights {
  /** Elements of a vector that both sides are mapped to. */
  readonly size: number;
  /** Matrix over a question's last state, [size, width] f32. */
  readonly question: Float32Array;
  /** Matrix over an option's last state, [size, width] f32. */
  readonly option: Float32Array;
  /** What a cosine of 1 adds to a fit score. */
  readonly scale: number;
  /** Options of a question that are thought about. */
  readonly candidates: number;
}

/** Reads what the card's `decisions.match` names. @throws {FathomError} invalid_checkpoint, invalid_card */
export async function readMatch(folder: ModelFolder, { decisions }: ModelCard, config: ModelConfig): Promise<MatchWeights | undefined> {
  const match = decisions?.match;
  if (match === undefined) return undefined;
  const source = await folder.open(match.file);
  if (source === undefined)
    throw new FathomError(
      "invalid_checkpoint",
      `${folder.name} lacks ${match.file}, which card.json names in decisions.match.`,
      match.file,
    );
  const found = new Map<string, { readonly tensor: TensorInfo; readonly values: Float32Array }>();
  await readSafetensors(
    source,
    () => undefined,
    (tensor) => {
      if (tensor.name !== match.question && tensor.name !== match.option) return undefined;
      if (tensor.dtype !== "F32" && tensor.dtype !== "F16" && tensor.dtype !== "BF16")
        throw bad(source.name, tensor, `has dtype ${tensor.dtype}; F32, F16 or BF16 are read`);
      const elements = tensor.shape.reduce((a, b) => a * b, 1);
      const keep = collectBytes(4 * elements, (bytes) => found.set(tensor.name, { tensor, values: new Float32Array(bytes.buffer) }));
      const checked = finiteFloats(tensor.name, keep);
      return tensor.dtype === "F32" ? checked : floatsToF32(tensor.dtype, checked);
    },
  );
  const matrix = (name: string): { readonly values: Float32Array; readonly size: number } => {
    const one = found.get(name);
    if (one === undefined)
      throw new FathomError("invalid_checkpoint", `${source.name} has no tensor ${name}, which card.json names in decisions.match.`, name);
    const [size = 0, width] = one.tensor.shape;
    if (one.tensor.shape.length !== 2 || width !== config.width || size === 0)
      throw bad(source.name, one.tensor, `has shape [${one.tensor.shape.join(", ")}]; a matrix of ${config.width} columns was expected`);
    return { values: one.values, size };
  };
  const [question, option] = [matrix(match.question), matrix(match.option)];
  if (question.size !== option.size)
    throw new FathomError(
      "invalid_checkpoint",
      `${source.name}: ${match.question} has ${question.size} rows, ${match.option} ${option.size}; they must be as many.`,
      match.option,
    );
  return { size: question.size, question: question.values, option: option.values, scale: match.scale, candidates: match.candidates };
}

function bad(file: string, { name }: TensorInfo, what: string): FathomError {
  return new FathomError("invalid_checkpoint", `${file}: tensor ${name} ${what}.`, name);
}

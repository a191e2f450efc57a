/**
 * Small tensors in a file of their own beside a model's weights, read whole as f32: matrices over states, label vectors.
 * Not here: which of them a card asks for (match.ts, embeddings.ts, labels.ts).
 */
import { FathomError } from "../errors.ts";
import { collectBytes } from "./collect.ts";
import { finiteFloats } from "./finite.ts";
import { floatsToF32 } from "./floats.ts";
import type { ModelFolder } from "./folder.ts";
import { readSafetensors, type SafetensorsHeader } from "./safetensors.ts";

export interface SmallTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface SmallTensorFile {
  /** The file's path or address, for messages. */
  readonly path: string;
  readonly metadata: SafetensorsHeader["metadata"];
  /** @throws {FathomError} invalid_checkpoint where the file has none of that name */
  tensor(name: string): SmallTensor;
  /** A matrix of a given width. @throws {FathomError} invalid_checkpoint */
  matrix(name: string, columns: number): SmallTensor & { readonly rows: number };
}

/**
 * Reads some tensors of a file, F32, F16 or BF16; others are passed over.
 * @param names   [default all]
 * @param namedBy what asks for the file, for messages: "decisions.match"
 * @throws {FathomError} invalid_checkpoint
 */
export async function readSmallTensors(
  folder: ModelFolder,
  file: string,
  names: readonly string[] | undefined,
  namedBy: string,
): Promise<SmallTensorFile> {
  const source = await folder.open(file);
  if (source === undefined)
    throw new FathomError("invalid_checkpoint", `${folder.name} lacks ${file}, which card.json names in ${namedBy}.`, file);
  const path = source.name;
  const found = new Map<string, SmallTensor>();
  let metadata: SafetensorsHeader["metadata"] = {};
  await readSafetensors(
    source,
    (header) => (metadata = header.metadata),
    ({ name, dtype, shape }) => {
      if (names?.includes(name) === false) return undefined;
      if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") throw bad(path, name, `has dtype ${dtype}; F32, F16 or BF16 are read`);
      const elements = shape.reduce((a, b) => a * b, 1);
      const keep = collectBytes(4 * elements, ({ buffer }) => found.set(name, { name, shape, values: new Float32Array(buffer) }));
      const checked = finiteFloats(name, keep);
      return dtype === "F32" ? checked : floatsToF32(dtype, checked);
    },
  );
  const tensor = (name: string): SmallTensor => {
    const one = found.get(name);
    if (one !== undefined) return one;
    throw new FathomError("invalid_checkpoint", `${path} has no tensor ${name}, which card.json names in ${namedBy}.`, name);
  };
  return {
    path,
    metadata,
    tensor,
    matrix(name, columns) {
      const one = tensor(name);
      const [rows = 0, width] = one.shape;
      if (one.shape.length !== 2 || width !== columns || rows === 0)
        throw bad(path, name, `has shape [${one.shape.join(", ")}]; a matrix of ${columns} columns was expected`);
      return { ...one, rows };
    },
  };
}

function bad(path: string, name: string, what: string): FathomError {
  return new FathomError("invalid_checkpoint", `${path}: tensor ${name} ${what}.`, name);
}

/**
 * A graph in onnxruntime-web: opened, checked against its signature, run. The runtime itself is handed in by the host,
 * as its builds differ. Failures are named errors.
 */
import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-web";
import { FathomError } from "../engine/errors.ts";
import type { OnnxValue } from "./encode.ts";
import type { Signature } from "./signature.ts";

/** The runtime's execution providers that the graphs are tried on. */
export type Provider = "wasm" | "webgpu";

/** What is used of a build of onnxruntime-web; its module fits. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(bytes: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession> };
  readonly Tensor: typeof Tensor;
}

/** An input: flat, and its size on the first axis. */
export interface Feed {
  readonly data: Float32Array | Int32Array;
  readonly count: number;
}

export interface GraphSession {
  /** Bytes of the graph's file. */
  readonly bytes: number;
  /** Inputs and outputs by the signature's names. @throws {FathomError} out_of_memory, invalid_checkpoint */
  run(feeds: Readonly<Record<string, Feed>>): Promise<Readonly<Record<string, Float32Array>>>;
  close(): Promise<void>;
}

/** What the runtime prints by itself: nothing, since failures come as errors. */
const QUIET: InferenceSession.SessionOptions = { logSeverityLevel: 4 };

/**
 * Opens a graph. @param file for messages
 * @throws {FathomError} invalid_checkpoint for what is no ONNX file, or one of other inputs and outputs; unavailable where
 *   the runtime does not start
 */
export async function openGraph(
  runtime: OnnxRuntime,
  file: string,
  bytes: Uint8Array,
  signature: Signature,
  provider: Provider,
): Promise<GraphSession> {
  const session = await runtime.InferenceSession.create(bytes, { ...QUIET, executionProviders: [provider] }).catch((error: Error) => {
    throw refused(file, error);
  });
  try {
    checkSignature(file, session, signature);
  } catch (error) {
    await session.release();
    throw error;
  }
  return {
    bytes: bytes.length,
    async run(feeds) {
      const tensors = signature.inputs.map((value) => [value, tensorOf(runtime, value, feeds[value.name]!)] as const);
      const outputs = await session.run(Object.fromEntries(tensors.map(([{ name }, tensor]) => [name, tensor]))).catch((error: Error) => {
        throw failed(file, error);
      });
      const sizes = new Map(tensors.flatMap(([{ shape }, { dims }]) => shape.map((size, axis) => [size, dims[axis]!] as const)));
      return Object.fromEntries(
        signature.outputs.map((value) => {
          const { dims, data } = outputs[value.name]!;
          const expected = value.shape.map((size) => (typeof size === "number" ? size : sizes.get(size)!));
          if (dims.join() !== expected.join())
            throw wrong(file, value.name, `output has shape [${dims.join(", ")}]; expected [${expected.join(", ")}]`);
          return [value.name, data as Float32Array];
        }),
      );
    },
    close: () => session.release(),
  };
}

/** The runtime's own words, without its wrapping. */
function reason(error: Error): string {
  return error.message
    .split("\n")[0]!
    .replace(/^.*ERROR_MESSAGE: /, "")
    .replace(/\.$/, "");
}

function refused(file: string, error: Error): FathomError {
  const what = reason(error);
  if (/no available backend|both async and sync fetching|WebAssembly/i.test(what))
    return new FathomError("unavailable", `onnxruntime-web does not start on this host: ${what}.`, undefined, { cause: error });
  return new FathomError(
    "invalid_checkpoint",
    `${file}: onnxruntime-web cannot load it: ${what}. Export it again with fathom export.`,
    file,
    { cause: error },
  );
}

function failed(file: string, error: Error): FathomError {
  const what = reason(error);
  if (/alloc|out of memory/i.test(what))
    return new FathomError("out_of_memory", `onnxruntime-web has no memory left for ${file}: ${what}.`, undefined, { cause: error });
  return new FathomError("invalid_checkpoint", `${file}: onnxruntime-web cannot run it: ${what}.`, file, { cause: error });
}

function wrong(file: string, name: string, what: string): FathomError {
  return new FathomError(
    "invalid_checkpoint",
    `${file}: ${name}: ${what}. The file and config.json do not belong together, or it is no graph of fathom export.`,
    name,
  );
}

function tensorOf({ Tensor }: OnnxRuntime, { shape }: OnnxValue, { data, count }: Feed): TypedTensor<"float32" | "int32"> {
  const dims = shape.length === 1 ? [count] : [count, count === 0 ? Number(shape[1]) : data.length / count];
  return data instanceof Int32Array ? new Tensor("int32", data, dims) : new Tensor("float32", data, dims);
}

/** @throws {FathomError} invalid_checkpoint, naming the input or output */
function checkSignature(file: string, session: InferenceSession, { inputs, outputs }: Signature): void {
  compare(file, "input", session.inputMetadata, inputs);
  compare(file, "output", session.outputMetadata, outputs);
  const unknown = session.inputNames.find((name) => !inputs.some((value) => value.name === name));
  if (unknown !== undefined) throw wrong(file, unknown, "an input that nothing is known of");
}

function compare(file: string, side: string, found: readonly InferenceSession.ValueMetadata[], expected: readonly OnnxValue[]): void {
  const describe = (type: string, shape: readonly (number | string)[]): string => `${type} [${shape.join(", ")}]`;
  const byName = new Map(found.map((value) => [value.name, value]));
  for (const { name, type, shape } of expected) {
    const value = byName.get(name);
    const wanted = `expected ${side} ${describe(type, shape)}`;
    if (value === undefined) throw wrong(file, name, `missing; ${wanted}`);
    if (!value.isTensor) throw wrong(file, name, `no tensor; ${wanted}`);
    const isOpen = (size: number | string | undefined): boolean => typeof size === "string";
    const fits = (size: number | string, axis: number): boolean => isOpen(size) || isOpen(value.shape[axis]) || size === value.shape[axis];
    if (value.type !== type || value.shape.length !== shape.length || !shape.every(fits))
      throw wrong(file, name, `${describe(value.type, value.shape)}; ${wanted}`);
  }
}

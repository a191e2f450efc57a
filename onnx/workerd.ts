/**
 * onnxruntime-web inside workerd, which compiles Wasm at deployment and refuses to at run time: the runtime is given a
 * stand-in for its .wasm, and where it would compile that, the deployed module is instantiated instead.
 */
import * as runtime from "onnxruntime-web/wasm";
import type { OnnxHost } from "./create.ts";

/** No Wasm file begins like this. */
const STAND_IN = new TextEncoder().encode("onnxruntime-web as deployed");

type Instantiate = (source: unknown, imports?: unknown) => Promise<unknown>;

/**
 * Prepares the runtime, once an isolate.
 * @param module `onnxruntime-web/ort-wasm-simd-threaded.wasm`, imported so that it is compiled at deployment
 */
export function workerdHost(module: WebAssembly.Module): OnnxHost {
  const { wasm } = runtime.env;
  wasm.numThreads = 1;
  wasm.proxy = false;
  wasm.wasmBinary = STAND_IN;
  const host = WebAssembly as unknown as { instantiate: Instantiate };
  const instantiate = host.instantiate.bind(WebAssembly);
  host.instantiate = async (source, imports) =>
    isStandIn(source) ? { module, instance: await instantiate(module, imports) } : instantiate(source, imports);
  return { runtime };
}

function isStandIn(source: unknown): boolean {
  if (!ArrayBuffer.isView(source) && !(source instanceof ArrayBuffer)) return false;
  const bytes = ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source);
  return bytes.length === STAND_IN.length && bytes.every((byte, i) => byte === STAND_IN[i]);
}

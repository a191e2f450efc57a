/**
 * Gathering a tensor's bytes on the host: for sinks that need a tensor whole before they can use it.
 */
import type { TensorWriter } from "./safetensors.ts";

/**
 * A writer that keeps everything and hands it over at the end.
 * @param length   bytes that will come
 * @param finished receives them, in memory of their own and aligned for any typed array
 */
export function collectBytes(length: number, finished: (bytes: Uint8Array<ArrayBuffer>) => void): TensorWriter {
  const bytes = new Uint8Array(length);
  let at = 0;
  return {
    write(chunk) {
      bytes.set(chunk, at);
      at += chunk.length;
    },
    done: () => finished(bytes),
  };
}

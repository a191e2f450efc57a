/**
 * Small files made in memory for tests: safetensors containers and model folders.
 */
import type { ModelFolder } from "../../engine/model/folder.ts";
import type { ByteSource } from "../../engine/model/safetensors.ts";
import { weightSpecs } from "../../engine/model/checkpoint.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { uniform } from "../../engine/random.ts";

export function safetensors(header: Record<string, unknown>, data: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
}

export function source(bytes: Uint8Array, claimed: number | undefined = bytes.length, chunk = 1 << 16): ByteSource {
  return {
    name: "test.safetensors",
    bytes: claimed,
    async *open() {
      for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
    },
  };
}

/** @param path what a source's name puts before the file's: nothing as on disk, a folder as in a Worker, a URL as in a page */
export function memoryFolder(files: Readonly<Record<string, string | Uint8Array>>, path = ""): ModelFolder {
  return {
    name: "memory",
    async readText(file) {
      const content = files[file];
      return typeof content === "string" ? content : undefined;
    },
    async open(file) {
      const content = files[file];
      return content instanceof Uint8Array ? { ...source(content), name: path + file } : undefined;
    },
  };
}

/** A config of the family's smallest useful size. */
export const TINY_CONFIG = {
  model_type: "huginn_raven",
  n_embd: 32,
  num_attention_heads: 2,
  intermediate_size: 64,
  n_layers_in_prelude: 1,
  n_layers_in_recurrent_block: 1,
  n_layers_in_coda: 1,
  vocab_size: 24,
  block_size: 48,
  mean_recurrence: 4,
  tie_embeddings: true,
  qk_bias: true,
  eos_token_id: 1,
};

export type FloatDtype = "F32" | "F16" | "BF16";

/** Random weights for a config, as one safetensors file. @param edit changes the header's entries before writing. */
export function tinyCheckpoint(
  json: object = TINY_CONFIG,
  dtype: FloatDtype = "F32",
  edit: (entries: Record<string, any>) => void = () => {},
): Uint8Array {
  const entries: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  weightSpecs(parseConfig(json)).forEach((spec, n) => {
    const elements = spec.shape.reduce((a, b) => a * b, 1);
    const isNorm = spec.name.includes("norm") || spec.name.includes("ln_f");
    const bytes = encodeFloats(
      Float32Array.from({ length: elements }, (_, i) => (isNorm ? 1 : 0) + (uniform(7, n, i) - 0.5) * 0.4),
      dtype,
    );
    entries[spec.name] = { dtype, shape: spec.shape, data_offsets: [at, at + bytes.length] };
    parts.push(bytes);
    at += bytes.length;
  });
  edit(entries);
  const data = new Uint8Array(at);
  let offset = 0;
  for (const part of parts) {
    data.set(part, offset);
    offset += part.length;
  }
  return safetensors(entries, data);
}

/** Truncating encodings are good enough here: readers must widen exactly whatever bits there are. */
function encodeFloats(values: Float32Array, dtype: FloatDtype): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  const words = new Uint32Array(values.buffer);
  const halves = Uint16Array.from(words, (w) => {
    if (dtype === "BF16") return w >>> 16;
    const exponent = ((w >>> 23) & 255) - 127 + 15;
    return exponent <= 0 ? 0 : ((w >>> 16) & 0x8000) | (exponent << 10) | ((w >>> 13) & 1023);
  });
  return new Uint8Array(halves.buffer);
}

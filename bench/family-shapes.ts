/**
 * The published shapes of the family, as config.json has them, and checkpoints of random f32 weights in them. Made a piece
 * at a time: 16 GB take no more memory than one piece.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "../engine/model/config.ts";
import { planConversion } from "../engine/model/convert.ts";
import { randomFloats } from "./model.ts";

const HUGINN = {
  model_type: "huginn_raven",
  n_embd: 5280,
  num_attention_heads: 55,
  intermediate_size: 17920,
  n_layers_in_prelude: 2,
  n_layers_in_recurrent_block: 4,
  n_layers_in_coda: 2,
  vocab_size: 65536,
  block_size: 4096,
  qk_bias: true,
  tie_embeddings: true,
};

const RECURRENT_LLAMA = {
  model_type: "huginn_raven",
  fathom_family: "retrofitted-llama",
  n_embd: 2048,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  intermediate_size: 8192,
  n_layers_in_prelude: 4,
  n_layers_in_recurrent_block: 6,
  n_layers_in_coda: 4,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  rope_theta: 500000,
  rope_scaling: { rope_type: "llama3", factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
  norm_eps: 1e-5,
  qk_bias: false,
  tie_embeddings: false,
};

const OURO = {
  model_type: "ouro",
  hidden_size: 2048,
  num_attention_heads: 16,
  num_key_value_heads: 16,
  num_hidden_layers: 24,
  head_dim: 128,
  intermediate_size: 5632,
  vocab_size: 49152,
  max_position_embeddings: 65536,
  rope_theta: 1e6,
  total_ut_steps: 4,
  tie_word_embeddings: false,
};

export const FAMILY_SHAPES = { "huginn-0125": HUGINN, "recurrent-llama-3.2-1b": RECURRENT_LLAMA, "ouro-1.4b": OURO } as const;
export type FamilyShape = keyof typeof FAMILY_SHAPES;

/** A shape with that part of its vocabulary and of its MLP's width, for runs that are to be short. */
export function shapeOf(name: FamilyShape, shrink: number): object {
  const { intermediate_size: mlp, vocab_size: vocab, ...rest } = FAMILY_SHAPES[name];
  const part = (size: number): number => Math.max(128, Math.floor(size / shrink / 128) * 128);
  return { ...rest, intermediate_size: part(mlp), vocab_size: part(vocab) };
}

const PIECE_FLOATS = 1 << 20;
const TOKENIZER = fileURLToPath(new URL("../models/nano/tokenizer.json", import.meta.url));

/** Fills an existing folder with config, weights and a tokenizer. @returns bytes of weights */
export async function writeFamilyCheckpoint(folder: string, json: object): Promise<number> {
  const { header, dataBytes, tensors } = planConversion(parseConfig(json), "f32");
  const random = randomFloats(PIECE_FLOATS, 1, 1.7);
  const ones = new Float32Array(PIECE_FLOATS).fill(1);
  const file = openSync(join(folder, "model.safetensors"), "w");
  const put = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at);
  };
  put(header);
  for (const { spec, begin, end } of tensors.values()) {
    const isNorm = spec.name.includes("norm") || spec.name.includes("ln_f");
    const scale = 1 / Math.sqrt(spec.shape.at(-1)!);
    const piece = new Uint8Array((isNorm ? ones : random.map((v) => v * scale)).buffer);
    for (let left = end - begin; left > 0; left -= piece.length) put(piece.subarray(0, left));
  }
  closeSync(file);
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
  await copyFile(TOKENIZER, join(folder, "tokenizer.json"));
  return header.length + dataBytes;
}

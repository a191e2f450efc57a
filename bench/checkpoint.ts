/**
 * Model folders with random weights, on disk: what loading and converting are measured on. The shape is that of a model
 * of the family with 208 million weights: 835 MB as f32, 118 MB as q4.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "../engine/model/config.ts";
import { planConversion, type TargetFormat } from "../engine/model/convert.ts";
import { benchWeights, type BenchFormat } from "./model.ts";

/** @param layers of the core; each has 12.8 M weights, and all else 54 M */
export function largeConfig(layers = 12): object {
  return {
    model_type: "huginn_raven",
    n_embd: 1024,
    num_attention_heads: 8,
    intermediate_size: 2816,
    n_layers_in_prelude: 2,
    n_layers_in_recurrent_block: layers,
    n_layers_in_coda: 2,
    vocab_size: 1024,
    block_size: 1024,
    qk_bias: true,
  };
}

/** The formats in which `benchWeights` gives what `fathom convert` writes. */
const FORMATS: Readonly<Record<TargetFormat, BenchFormat>> = { f32: "f32", q8: "q8", q4: "q4 q8-head" };
const TOKENIZER = fileURLToPath(new URL("../models/nano/tokenizer.json", import.meta.url));

/** Fills an existing folder with config, weights and tokenizer. @returns bytes of weights */
export async function writeRandomModel(folder: string, json: object, format: TargetFormat): Promise<number> {
  const config = parseConfig(json);
  const plan = planConversion(config, format);
  const file = openSync(join(folder, "model.safetensors"), "w");
  const put = (bytes: Uint8Array, position: number): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, position + at);
  };
  put(plan.header, 0);
  const writer = (name: string) => {
    let at = plan.header.length + plan.tensors.get(name)!.begin;
    return {
      write(chunk: Uint8Array) {
        put(chunk, at);
        at += chunk.length;
      },
      done: () => undefined,
    };
  };
  await benchWeights(config, FORMATS[format])({ matrix: writer, vector: writer });
  closeSync(file);
  await writeFile(join(folder, "config.json"), JSON.stringify(json));
  await copyFile(TOKENIZER, join(folder, "tokenizer.json"));
  return plan.header.length + plan.dataBytes;
}

/**
 * Every kernel in every variant, for models of several shapes, through both compilers that matter: Dawn's (Chromium,
 * Node), on its null device with the smallest limits that WebGPU grants, and naga (Firefox, Deno).
 */
/// <reference types="@webgpu/types" />
import { parseWgsl, validate } from "naga-wasm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeDevice } from "../../kernels/node.ts";
import type { FoundDevice } from "../../kernels/probe.ts";
import { MATRIX_KERNELS, PLAIN_WGSL, ROW_KERNELS, FUSED_CORE_KERNEL } from "../../kernels/kernels.ts";
import { modelConstants } from "../../kernels/layout.ts";
import { ROWS_TOGETHER } from "../../kernels/program.ts";
import { assemble, bindingsOf, compile, type Replacements } from "../../kernels/shader.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { SMALL } from "../wasm/models.ts";

const HUGINN: ModelConfig = parseConfig({
  n_embd: 5280,
  num_attention_heads: 55,
  intermediate_size: 17920,
  n_layers_in_prelude: 2,
  n_layers_in_recurrent_block: 4,
  n_layers_in_coda: 2,
  vocab_size: 65536,
  block_size: 4096,
});
const GROUPED: ModelConfig = { ...SMALL, heads: 6, kvHeads: 2, headDim: 24, block: { ...SMALL.block, rotary: "half-split" } };

interface Variant {
  readonly name: string;
  readonly text: string;
}

function variants(config: ModelConfig, threads: number, replacements: Replacements): Variant[] {
  const constants = modelConstants(config, { finalNorm: 0, rotaryCos: 64, rotarySin: 128 }, threads);
  const types = ["f32", "f16", "q8", "q4"];
  const single = [...ROW_KERNELS, ...types.map((type) => `embed_${type}`)];
  const fused = types.map((type) => `${FUSED_CORE_KERNEL}_${type}`);
  const matrix = MATRIX_KERNELS.flatMap((kernel) => types.map((type) => `${kernel}_${type}`));
  return [
    ...fused.map((name) => ({ name, text: assemble(name, { ...constants, ROWS: 1 }, replacements) })),
    ...single.map((name) => ({ name, text: assemble(name, constants, replacements) })),
    ...matrix.flatMap((name) =>
      [1, ROWS_TOGETHER].map((ROWS) => ({ name: `${name} x ${ROWS}`, text: assemble(name, { ...constants, ROWS }, replacements) })),
    ),
  ];
}

const CASES: [string, Variant[]][] = [
  ["Huginn, 256 threads", variants(HUGINN, 256, {})],
  ["a small model, 64 threads", variants(SMALL, 64, {})],
  ["grouped heads, half-split rotary, plain WGSL", variants(GROUPED, 64, PLAIN_WGSL)],
];

let found: FoundDevice;
beforeAll(async () => {
  const probe = await nodeDevice(["backend=null"]);
  if ("missing" in probe) throw new Error(probe.missing);
  found = probe.found;
});
afterAll(() => found.close());

describe.each(CASES)("kernels for %s", (_, kernels) => {
  it("pass Dawn, within the limits of every device", async () => {
    for (const { name, text } of kernels) await compile(found.device, name, text);
  });

  it("pass naga", () => {
    for (const { name, text } of kernels) {
      using module = parseWgsl(text);
      expect(() => validate(module).free(), name).not.toThrow();
    }
  });

  it("bind at most eight storage buffers", () => {
    for (const { name, text } of kernels)
      expect(bindingsOf(text).filter(({ type }) => type !== "uniform").length, name).toBeLessThanOrEqual(8);
  });
});

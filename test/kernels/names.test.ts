/**
 * What the host packs and what the shaders declare are one: a field or constant that is renamed in the shaders alone, in
 * every file alike so that they still compile, is refused by its name before anything runs.
 */
/// <reference types="@webgpu/types" />
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SOURCES } from "../../kernels/build/sources.ts";
import { declarationsIn } from "../../kernels/shader.ts";
import { SMALL } from "../wasm/models.ts";
import type { Device } from "../../kernels/device.ts";
import type { Kernel } from "../../kernels/shader.ts";
import type { GpuMatrix } from "../../kernels/matrix.ts";
import type { GpuBlock, GpuModel } from "../../kernels/weights.ts";

const HALF_SPLIT = { ...SMALL, block: { ...SMALL.block, rotary: "half-split" as const } };

const matrix = (rows: number, columns: number): GpuMatrix => ({
  type: "f32",
  rows,
  columns,
  group: 0,
  tileWords: 16 * columns,
  parts: [{ buffer: {} as GPUBuffer, at: 0, from: 0, to: rows }],
});
const block: GpuBlock = {
  qkv: matrix(96, 32),
  attentionOut: matrix(32, 32),
  fc: matrix(96, 32),
  mlpOut: matrix(32, 48),
  attentionNorms: { input: 0, sum: 0 },
  mlpNorms: { input: 0, sum: 0 },
  qkNorm: undefined,
  qkBias: 0,
};
const blocks = (count: number): GpuBlock[] => Array.from({ length: count }, () => block);

/** Everything that the host does with names at its start, with no device: layouts, packers, programs. */
async function start(): Promise<void> {
  const { buildPrograms } = await import("../../kernels/programs.ts");
  const { assemble, paramsOf, declarationsIn } = await import("../../kernels/shader.ts");
  const { modelConstants, scratchLayout, stateLayout } = await import("../../kernels/layout.ts");
  const { cacheLayout } = await import("../../kernels/cache-layout.ts");
  await import("../../kernels/decode.ts");
  const at = { finalNorm: 0, rotaryCos: 0, rotarySin: 0 };
  const constants = { ...modelConstants(HALF_SPLIT, at, 64), ROWS: 1 };
  const kernel = (name: string): Kernel =>
    ({ name, params: paramsOf(assemble(name, constants)), declarations: declarationsIn(name, constants) }) as Kernel;
  const device = { uniform: () => ({}) } as unknown as Device;
  const { width, vocabSize, preludeLayers, coreLayers, codaLayers } = HALF_SPLIT;
  const model = {
    embedding: matrix(vocabSize, width),
    head: matrix(vocabSize, width),
    adapter: matrix(width, 2 * width),
    prelude: blocks(preludeLayers),
    core: blocks(coreLayers),
    coda: blocks(codaLayers),
    finalNorm: 0,
    vectors: {},
    at,
    hostFinalNorm: new Float32Array(width),
  } as unknown as GpuModel;
  const layouts = { scratch: scratchLayout(HALF_SPLIT), states: stateLayout(HALF_SPLIT), cache: cacheLayout(HALF_SPLIT, Infinity) };
  await buildPrograms(
    device,
    HALF_SPLIT,
    model,
    { one: kernel, many: kernel, fusedCore: Promise.resolve(kernel("fused_core_f32")) },
    layouts,
  ).fusedCore;
}

/** Every file with a name replaced by another. */
function renamed(name: string): Record<string, string> {
  const whole = new RegExp(`(?<![@/-])\\b${name}\\b(?![.(-])`, "g"); // no attribute, file or function
  return Object.fromEntries(Object.entries(SOURCES).map(([file, text]) => [file, text.replace(whole, `${name}_renamed`)]));
}

const STRUCTS: [file: string, struct: string][] = [
  ["parts/rows", "Row"],
  ["parts/rows", "Stretch"],
  ["parts/product", "Product"],
  ["parts/visible", "Attend"],
  ["parts/stage-end", "StageEnd"],
  ["parts/embed", "Params"],
  ["rotate", "Params"],
  ["fused_core_f32", "FusedCore"],
];
const CONSTANTS = Object.values(SOURCES).flatMap((text) => [
  ...text.matchAll(/^const ((?:LOG|START|SOURCE|STAGE|LOOKUP|SHARING|RULE)_\w+) =/gm),
]);
const names = [
  ...STRUCTS.flatMap(([file, struct]) =>
    declarationsIn(file, { CORE_LAYERS: 2 })
      .struct(struct)
      .fields.map(({ name }) => `${struct}.${name}`),
  ),
  ...CONSTANTS.map(([, name]) => name!),
  "NONE",
  "OUTPUTS",
  "STATE_AT",
  "EMBEDDED_AT",
  "HEAD_INPUT_AT",
  "STATE_STATS_AT",
];

describe("the host's names", () => {
  beforeEach(() => void vi.resetModules());
  afterEach(() => vi.doUnmock("../../kernels/build/sources.ts"));

  it("are the shaders'", async () => {
    expect(names).toContain("Row.log_stride");
    expect(names).toContain("LOG_VALUES");
    await start();
  });

  it.each([...new Set(names)])("refuse a renamed %s", async (name) => {
    const own = name.split(".").at(-1)!;
    vi.doMock("../../kernels/build/sources.ts", () => ({ SOURCES: renamed(own) }));
    await expect(start()).rejects.toThrow(new RegExp(`\\b${own}\\b`));
  });
});

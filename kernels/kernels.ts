/**
 * Which kernels a model needs, and in which variant: its constants, the weight types that it has, what the host's WGSL
 * offers. Compiles them, all at once.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import { modelConstants } from "./layout.ts";
import { ROWS_TOGETHER } from "./program.ts";
import type { Kernels } from "./programs.ts";
import { assemble, compile, type Constants, type Kernel, type Replacements } from "./shader.ts";
import { coreMatrices, type GpuModel } from "./weights.ts";

/** Kernels with a variant for several rows a workgroup, once for each weight type. */
export const MATRIX_KERNELS = ["matmul", "qkv"] as const;

/** All core iterations of a row in one workgroup, once for each weight type; where `canFuseCore`. */
export const FUSED_CORE_KERNEL = "fused_core";

/** Kernels of one row (and head) a workgroup; `embed` besides, once for each weight type. */
export const ROW_KERNELS = [
  "finish_stage",
  "advance",
  "advance_exit",
  "measure",
  "attention",
  "attended",
  "rotate",
  "norm_qk",
  "join",
  "start_embedded",
  "skip_adapter",
  "begin_token",
  "finish_token",
] as const;

/** Columns that one load of a product's input takes, as parts/input-float.wgsl and input-int8.wgsl have it. */
function chunkColumns(threads: number): number {
  return 4 * Math.max(128, threads);
}

/**
 * Whether one workgroup can run the core by itself: matrices of one kind, inputs of one chunk. Widths up to 512 then, with
 * 256 threads; above that a workgroup has too little of the device anyway.
 */
export function canFuseCore(config: ModelConfig, model: GpuModel, threads: number): boolean {
  if (config.family !== "huginn") return false; // the kernel has its block, and no other
  const matrices = coreMatrices(model);
  const isAlike = matrices.every(({ type, group }) => type === matrices[0]!.type && group === matrices[0]!.group);
  return isAlike && matrices.every(({ columns }) => columns <= chunkColumns(threads));
}

function isNeeded(kernel: (typeof ROW_KERNELS)[number], { block, recurrence }: ModelConfig): boolean {
  switch (kernel) {
    case "rotate":
      return block.rotary === "half-split";
    case "norm_qk":
      return block.qkNorm;
    case "join":
      return block.norms.includes("output");
    case "start_embedded":
      return recurrence.start === "embedded";
    case "skip_adapter":
      return recurrence.skipsAdapter;
    default:
      return true;
  }
}

/** Stand-ins for hosts without packed products. */
export const PLAIN_WGSL: Replacements = { "parts/dot-packed.wgsl": "parts/dot-plain.wgsl" };

/**
 * @param host threads of a workgroup, heads of keys in a part of the cache, whether one workgroup runs the core by itself,
 *   and names of the WGSL extensions that there are
 * @throws {FathomError} unavailable when the device refuses a kernel
 */
export async function compileKernels(
  gpu: GPUDevice,
  config: ModelConfig,
  model: GpuModel,
  host: {
    readonly threads: number;
    readonly cacheHeads: number;
    readonly isFused: boolean;
    readonly languageFeatures: ReadonlySet<string>;
  },
): Promise<Kernels> {
  const constants = modelConstants(config, model.at, host.threads, host.cacheHeads);
  const replacements = host.languageFeatures.has("packed_4x8_integer_dot_product") ? {} : PLAIN_WGSL;
  const blocks = [...model.prelude, ...model.core, ...model.coda];
  const matrices = [...coreMatrices(model), model.head, ...blocks.flatMap((b) => [b.attentionOut, b.fc, b.mlpOut])];
  const matrixKernels = new Set([...matrices.map((m) => `matmul_${m.type}`), ...blocks.map((b) => `qkv_${b.qkv.type}`)]);
  const one = new Map<string, Promise<Kernel>>();
  const many = new Map<string, Promise<Kernel>>();
  const make = (name: string, extra: Constants): Promise<Kernel> =>
    compile(gpu, name, assemble(name, { ...constants, ...extra }, replacements));
  const rowKernels = ROW_KERNELS.filter((name) => isNeeded(name, config));
  for (const name of [...rowKernels, `embed_${model.embedding.type}`]) one.set(name, make(name, {}));
  for (const name of matrixKernels) {
    one.set(name, make(name, { ROWS: 1 }));
    many.set(name, make(name, { ROWS: ROWS_TOGETHER }));
  }
  const [ones, manys] = await Promise.all([all(one), all(many)]);
  const fusedName = `${FUSED_CORE_KERNEL}_${coreMatrices(model)[0]!.type}`;
  // large, and needed only where tokens are made on the device: nobody waits for it before
  const fusedCore = host.isFused ? make(fusedName, { ROWS: 1 }) : undefined;
  fusedCore?.catch(() => undefined);
  return { fusedCore, one: (name) => ones.get(name)!, many: (name) => manys.get(name)! };
}

async function all(promises: ReadonlyMap<string, Promise<Kernel>>): Promise<Map<string, Kernel>> {
  return new Map(await Promise.all([...promises].map(async ([name, kernel]) => [name, await kernel] as const)));
}

/**
 * Makes pipelines of .wgsl files: resolves #include lines, puts a model's constants in front, and reads bindings, structs
 * and constants from the text, so that the host binds and packs by the names that the shader gives.
 */
/// <reference types="@webgpu/types" />
import { FathomError } from "../engine/errors.ts";
import { SOURCES } from "./build/sources.ts";
import { checkUniform, declarationsOf, type Declarations, type StructLayout } from "./wgsl.ts";

/** Whole numbers become u32 constants, others f32. */
export type Constants = Readonly<Record<string, number | { readonly f32: number }>>;

/** Files that stand in for others, e.g. where the host's WGSL lacks an extension. */
export type Replacements = Readonly<Record<string, string>>;

/** A kernel's whole text. */
export function assemble(kernel: string, constants: Constants, replacements: Replacements = {}): string {
  const header = Object.entries(constants).map(([name, value]) =>
    typeof value === "number" ? `const ${name} = ${value}u;` : `const ${name} = f32(${Math.fround(value.f32)});`,
  );
  return [...header, expand(`${kernel}.wgsl`, replacements)].join("\n");
}

function expand(file: string, replacements: Replacements): string {
  const text = SOURCES[replacements[file] ?? file];
  if (text === undefined) throw new Error(`no shader file ${file}; run npm run build:kernels`);
  return text.replace(/^#include (\S+)$/gm, (_, name: string) => expand(name, replacements));
}

/** Structs and constants of one file and what it includes. @param constants that the file expects, as in `assemble` */
export function declarationsIn(file: string, constants: Constants = {}): Declarations {
  return declarationsOf(assemble(file, constants));
}

export interface Binding {
  readonly name: string;
  readonly index: number;
  readonly type: GPUBufferBindingType;
  /** The WGSL type of what lies in the buffer. */
  readonly holds: string;
}

const BINDING = /@group\(0\) @binding\((\d+)\) var<(uniform|storage, read_write|storage, read)> (\w+):\s*([^;]+);/g;

export function bindingsOf(text: string): Binding[] {
  return [...text.matchAll(BINDING)].map(([, index, kind, name, holds]) => ({
    name: name!,
    index: Number(index),
    type: kind === "uniform" ? "uniform" : kind === "storage, read" ? "read-only-storage" : "storage",
    holds: holds!,
  }));
}

/** The struct that a kernel takes as its uniform, where it takes one. @throws {Error} where WGSL has no such uniform */
export function paramsOf(text: string): StructLayout | undefined {
  const uniform = bindingsOf(text).find(({ type }) => type === "uniform");
  if (uniform === undefined) return undefined;
  const layout = declarationsOf(text).struct(uniform.holds);
  checkUniform(layout, layout.name);
  return layout;
}

/** A compiled kernel. */
export interface Kernel {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindings: readonly Binding[];
  /** The kernel's uniform, to be packed by name. */
  readonly params: StructLayout | undefined;
  /** What the kernel's text declares. */
  readonly declarations: Declarations;
}

const COMPUTE_STAGE = 4; // GPUShaderStage.COMPUTE, a global that not every host has

/** @throws {FathomError} unavailable when the device refuses the kernel */
export async function compile(device: GPUDevice, name: string, text: string): Promise<Kernel> {
  const bindings = bindingsOf(text);
  const layout = device.createBindGroupLayout({
    entries: bindings.map(({ index, type }) => ({ binding: index, visibility: COMPUTE_STAGE, buffer: { type } })),
  });
  const module = device.createShaderModule({ label: name, code: text });
  try {
    const pipeline = await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    return { name, pipeline, layout, bindings, params: paramsOf(text), declarations: declarationsOf(text) };
  } catch (error) {
    throw new FathomError("unavailable", `This GPU refuses kernel ${name}: ${(error as Error).message}`, undefined, { cause: error });
  }
}

/** Binds buffers to a kernel by name. */
export function bind(device: GPUDevice, kernel: Kernel, buffers: Readonly<Record<string, GPUBuffer>>): GPUBindGroup {
  return device.createBindGroup({
    label: kernel.name,
    layout: kernel.layout,
    entries: kernel.bindings.map(({ name, index }) => {
      const buffer = buffers[name];
      if (buffer === undefined) throw new Error(`kernel ${kernel.name} needs a buffer ${name}`);
      return { binding: index, resource: { buffer } };
    }),
  });
}

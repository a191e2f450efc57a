/**
 * The kernels of a build, bound to an arena: their signatures, and which of the paths this host takes for quantised
 * matrices. All addresses, strides and offsets are bytes; all tensors f32 unless named otherwise.
 */
import { FathomError } from "../engine/errors.ts";
import type { QuantFormat } from "../engine/model/quantised.ts";
import type { Arena } from "./arena.ts";

type MultiplyQuantised = (
  w: number,
  tiles: number,
  columns: number,
  group: number,
  x: number,
  xStride: number,
  rows: number,
  y: number,
  yStride: number,
) => void;

/** Exports of both builds; see wasm/assembly for each. */
export interface KernelExports {
  readonly heapBase: WebAssembly.Global;
  readonly __instance_signal: WebAssembly.Global;
  multiplyF32(w: number, tiles: number, columns: number, x: number, xStride: number, rows: number, y: number, yStride: number): void;
  readonly multiplyQ4Pairs: MultiplyQuantised;
  readonly multiplyQ8Pairs: MultiplyQuantised;
  quantiseRows(
    x: number,
    xStride: number,
    rows: number,
    columns: number,
    group: number,
    form: number,
    out: number,
    outStride: number,
  ): void;
  normRows(table: number, rows: number, weight: number, width: number, eps: number, out: number, outStride: number): void;
  normQuantiseRows(
    table: number,
    rows: number,
    weight: number,
    width: number,
    eps: number,
    group: number,
    form: number,
    out: number,
    outStride: number,
  ): void;
  addNormRows(table: number, rows: number, y: number, yStride: number, weight: number, width: number, eps: number): void;
  addRows(table: number, rows: number, y: number, yStride: number, width: number): void;
  gateRows(y: number, yStride: number, rows: number, width: number, out: number, outStride: number): void;
  gateQuantiseRows(
    y: number,
    yStride: number,
    rows: number,
    width: number,
    group: number,
    form: number,
    out: number,
    outStride: number,
  ): void;
  storeRows(
    table: number,
    rows: number,
    y: number,
    yStride: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    interleaved: number,
    bias: number,
    valueOffset: number,
  ): void;
  storeRowsInt8(
    table: number,
    rows: number,
    y: number,
    yStride: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    interleaved: number,
    bias: number,
    valueOffset: number,
    scaleOffset: number,
  ): void;
  attendRows(
    table: number,
    rows: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    scale: number,
    valueOffset: number,
    scores: number,
    out: number,
    outStride: number,
  ): void;
  attendRowsInt8(
    table: number,
    rows: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    scale: number,
    valueOffset: number,
    scaleOffset: number,
    scores: number,
    out: number,
    outStride: number,
  ): void;
  forgetStrongest(table: number, rows: number): void;
  embedF32(w: number, row: number, columns: number, scale: number, out: number): void;
  embedQ8(w: number, row: number, columns: number, group: number, scale: number, out: number): void;
  embedQ4(w: number, row: number, columns: number, group: number, scale: number, out: number): void;
  measureRows(table: number, rows: number, toMeasured: number, width: number, out: number): void;
  pressRows(table: number, rows: number, moved: number, out: number): void;
  keepLargest(logits: number, count: number, base: number, best: number): void;
  joinRows(table: number, rows: number, other: number, bytes: number, out: number, outStride: number): void;
  scatterRows(table: number, rows: number, y: number, yStride: number, bytes: number): void;
  gatherRows(table: number, rows: number, out: number, outStride: number, bytes: number): void;
}

/** What the relaxed build has besides. */
interface RelaxedExports extends KernelExports {
  readonly multiplyQ4U8: MultiplyQuantised;
  readonly multiplyQ4I8: MultiplyQuantised;
  readonly multiplyQ4U8Checked: MultiplyQuantised;
  readonly multiplyQ4I8Checked: MultiplyQuantised;
  readonly multiplyQ4I16: MultiplyQuantised;
  readonly multiplyQ8U8: MultiplyQuantised;
  readonly multiplyQ8I8: MultiplyQuantised;
  probeDot(a: number, b: number): number;
}

/**
 * How int8 dot products are made. u8, i8: one relaxed dot, whose second operand the host reads so (x86 with AVX-VNNI;
 * ARM with dot products). i16: relaxed, but the host has no single instruction for it. plain: the build without.
 */
export type DotPath = "u8" | "i8" | "i16" | "plain";

/**
 * How the host keeps memory accesses in bounds. pages: unmapped pages around the memory catch them, at no cost (Node,
 * browsers). code: a comparison before every access (workerd, as `node --wasm-enforce-bounds-checks`); fewer, wider loads pay.
 */
export type BoundsChecks = "pages" | "code";

/** What relaxed_dot(-127, 200) gives where one instruction does it; any other answer means several. */
const PROBE_RESULTS: ReadonlyMap<number, DotPath> = new Map([
  [4 * -127 * 200, "u8"],
  [4 * -127 * (200 - 256), "i8"],
]);

/** `Form` of wasm/assembly/quantise.ts: how activations are written for the kernel that will read them. */
const FORMS: Readonly<Record<DotPath, Readonly<Record<QuantFormat, number>>>> = {
  u8: { q4: 0, q8: 4 },
  i8: { q4: 1, q8: 5 },
  i16: { q4: 2, q8: 6 },
  plain: { q4: 3, q8: 6 },
};
const PAIRS: ReadonlySet<number> = new Set([3, 6]);
const HEADER_BYTES = 16;

export interface Kernels {
  readonly run: KernelExports;
  readonly path: DotPath;
  readonly multiply: Readonly<Record<QuantFormat, MultiplyQuantised>>;
  /** The form of activations that `multiply` of this format reads. */
  readonly forms: Readonly<Record<QuantFormat, number>>;
}

/** Bytes of one quantised row of activations. */
export function quantisedRowBytes(columns: number, group: number, form: number): number {
  return (columns / group) * HEADER_BYTES + columns * (PAIRS.has(form) ? 2 : 1);
}

/**
 * Instantiates a build over the arena's memory. Must come before any other allocation: the module's own data lies at 0.
 * @param path   [default: the best that the host and the build have] for tests: any path that they have
 * @param bounds [default "pages"]
 * @throws {FathomError} unavailable
 */
export function bindKernels(module: WebAssembly.Module, arena: Arena, path?: DotPath, bounds: BoundsChecks = "pages"): Kernels {
  const run = new WebAssembly.Instance(module, { env: { memory: arena.memory } }).exports as unknown as RelaxedExports;
  arena.allocate("module", run.heapBase.value as number, "the kernels' own data");
  const possible = pathsOf(run);
  const chosen = path ?? possible[0]!;
  if (!possible.includes(chosen))
    throw new FathomError("unavailable", `This host or build has no ${chosen} path; it has ${possible.join(", ")}.`, "path");
  return { run, path: chosen, multiply: multiplyOf(run, chosen, bounds === "code"), forms: FORMS[chosen] };
}

/** Best first. */
function pathsOf(run: RelaxedExports): DotPath[] {
  if (run.probeDot === undefined) return ["plain"];
  const single = PROBE_RESULTS.get(run.probeDot(-127, 200));
  return single === undefined ? ["i16", "plain"] : [single, "i16", "plain"];
}

function multiplyOf(run: RelaxedExports, path: DotPath, checked: boolean): Record<QuantFormat, MultiplyQuantised> {
  switch (path) {
    case "u8":
      return { q4: checked ? run.multiplyQ4U8Checked : run.multiplyQ4U8, q8: run.multiplyQ8U8 };
    case "i8":
      return { q4: checked ? run.multiplyQ4I8Checked : run.multiplyQ4I8, q8: run.multiplyQ8I8 };
    case "i16":
      return { q4: run.multiplyQ4I16, q8: run.multiplyQ8Pairs };
    case "plain":
      return { q4: run.multiplyQ4Pairs, q8: run.multiplyQ8Pairs };
  }
}

/**
 * The kernels of a build, bound to an arena: their signatures, checked at the start, and which of the paths this host takes
 * for quantised matrices. All addresses, strides and offsets are bytes; all tensors f32 unless named otherwise.
 */
import { FathomError } from "../engine/errors.ts";
import type { QuantFormat } from "../engine/model/quantised.ts";
import type { Arena } from "./arena.ts";
import { mismatch, readGlobal, recordsOf, type RecordLayouts } from "./records.ts";

/** y = x W^T for tiles [firstTile, firstTile + tiles) of a matrix: the record of it, `rows` rows of x and of y. */
type Multiply = (matrix: number, firstTile: number, tiles: number, x: number, rows: number, y: number) => void;
/** out = W[row] * scale */
type Embed = (matrix: number, row: number, scale: number, out: number) => void;
/** q, k, v in y to where the table's rows have them. `heads` of q lie in y. */
type Store = (block: number, table: number, rows: number, y: number, yStride: number, heads: number, bias: number) => void;
type Attend = (block: number, table: number, rows: number, scores: number, out: number, outStride: number) => void;

/** Exports of both builds; see wasm/assembly for each. `matrix`, `block` and `table` are addresses of records (records.ts). */
export interface KernelExports {
  readonly heapBase: WebAssembly.Global;
  readonly __instance_signal: WebAssembly.Global;
  readonly multiplyF32: Multiply;
  readonly multiplyQ4Pairs: Multiply;
  readonly multiplyQ8Pairs: Multiply;
  quantisedRowBytes(columns: number, group: number, form: number): number;
  quantiseRows(matrix: number, x: number, stride: number, rows: number, out: number): void;
  normRows(block: number, table: number, rows: number, weight: number, out: number, outStride: number): void;
  normQuantiseRows(block: number, matrix: number, table: number, rows: number, weight: number, out: number): void;
  normOutputs(block: number, y: number, yStride: number, rows: number, width: number, weight: number): void;
  addNormRows(block: number, table: number, rows: number, y: number, yStride: number, weight: number): void;
  addRows(block: number, table: number, rows: number, y: number, yStride: number): void;
  gateRows(matrix: number, y: number, yStride: number, rows: number, out: number): void;
  gateQuantiseRows(matrix: number, y: number, yStride: number, rows: number, out: number): void;
  readonly storeRows: Store;
  readonly storeRowsInt8: Store;
  readonly attendRows: Attend;
  readonly attendRowsInt8: Attend;
  forgetStrongest(table: number, rows: number): void;
  readonly embedF32: Embed;
  readonly embedQ8: Embed;
  readonly embedQ4: Embed;
  measureRows(table: number, rows: number, toMeasured: number, width: number, out: number): void;
  pressRows(table: number, rows: number, moved: number, out: number): void;
  keepLargest(logits: number, count: number, base: number, best: number): void;
  joinRows(table: number, rows: number, other: number, bytes: number, out: number, outStride: number): void;
  scatterRows(table: number, rows: number, y: number, yStride: number, bytes: number): void;
  gatherRows(table: number, rows: number, out: number, outStride: number, bytes: number): void;
}

/** What the relaxed build has besides. */
interface RelaxedOnly {
  readonly multiplyQ4U8: Multiply;
  readonly multiplyQ4I8: Multiply;
  readonly multiplyQ4U8Checked: Multiply;
  readonly multiplyQ4I8Checked: Multiply;
  readonly multiplyQ4I16: Multiply;
  readonly multiplyQ8U8: Multiply;
  readonly multiplyQ8I8: Multiply;
  probeDot(a: number, b: number): number;
}

type RelaxedExports = KernelExports & RelaxedOnly;

/** How many arguments each function takes: the compiler holds it to the types above, `checkExports` the build to it. */
type Arities<Exports> = {
  readonly [Name in keyof Exports as Exports[Name] extends (...values: number[]) => unknown ? Name : never]: Exports[Name] extends (
    ...values: infer Values
  ) => unknown
    ? Values extends { readonly length: infer Length }
      ? Length
      : never
    : never;
};

const ARITIES: Arities<KernelExports> = {
  multiplyF32: 6,
  multiplyQ4Pairs: 6,
  multiplyQ8Pairs: 6,
  quantisedRowBytes: 3,
  quantiseRows: 5,
  normRows: 6,
  normQuantiseRows: 6,
  normOutputs: 6,
  addNormRows: 6,
  addRows: 5,
  gateRows: 5,
  gateQuantiseRows: 5,
  storeRows: 7,
  storeRowsInt8: 7,
  attendRows: 6,
  attendRowsInt8: 6,
  forgetStrongest: 2,
  embedF32: 4,
  embedQ8: 4,
  embedQ4: 4,
  measureRows: 5,
  pressRows: 4,
  keepLargest: 4,
  joinRows: 6,
  scatterRows: 5,
  gatherRows: 5,
};

const RELAXED_ARITIES: Arities<RelaxedOnly> = {
  multiplyQ4U8: 6,
  multiplyQ4I8: 6,
  multiplyQ4U8Checked: 6,
  multiplyQ4I8Checked: 6,
  multiplyQ4I16: 6,
  multiplyQ8U8: 6,
  multiplyQ8I8: 6,
  probeDot: 2,
};

/**
 * Compares a module's functions with what the host will call: wasm would take missing arguments as 0.
 * @throws {FathomError} unavailable, naming the export
 */
export function checkExports(exports: WebAssembly.Exports, arities: Readonly<Record<string, number>>): void {
  for (const [name, arity] of Object.entries(arities)) {
    const kernel = exports[name];
    if (typeof kernel !== "function") throw mismatch(`has no export ${name}`);
    if (kernel.length !== arity) throw mismatch(`has an export ${name} of ${kernel.length} arguments, which is called with ${arity}`);
  }
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

/** How activations are written for the kernel that will read them: a form of wasm/assembly/quantise.ts by its name. */
const FORMS: Readonly<Record<DotPath, Readonly<Record<QuantFormat, string>>>> = {
  u8: { q4: "Form_Q4_U8", q8: "Form_Q8_U8" },
  i8: { q4: "Form_Q4_I8", q8: "Form_Q8_I8" },
  i16: { q4: "Form_Q4_I16", q8: "Form_Q8_PAIRS" },
  plain: { q4: "Form_Q4_PAIRS", q8: "Form_Q8_PAIRS" },
};

const GLOBALS = ["heapBase", "__instance_signal", ...Object.values(FORMS).flatMap(({ q4, q8 }) => [q4, q8])];

export interface Kernels {
  readonly run: KernelExports;
  readonly path: DotPath;
  /** Matrix products by the format of the matrix. */
  readonly multiply: Readonly<Record<QuantFormat | "f32", Multiply>>;
  readonly embed: Readonly<Record<QuantFormat | "f32", Embed>>;
  /** The form of activations that `multiply` of this format reads. */
  readonly forms: Readonly<Record<QuantFormat, number>>;
  readonly records: RecordLayouts;
}

/** Puts other ways in the place of some kernels, once they are bound: threads, say. */
export type ReplaceKernels = (kernels: Kernels, arena: Arena) => Promise<Kernels>;

/** The forms that the matrices of a path read. @throws {FathomError} unavailable */
export function formsOf(exports: WebAssembly.Exports, path: DotPath): Record<QuantFormat, number> {
  const { q4, q8 } = FORMS[path];
  return { q4: readGlobal(exports, q4), q8: readGlobal(exports, q8) };
}

/**
 * Instantiates a build over the arena's memory. Must come before any other allocation: the module's own data lies at 0.
 * @param path   [default: the best that the host and the build have] for tests: any path that they have
 * @param bounds [default "pages"]
 * @throws {FathomError} unavailable
 */
export function bindKernels(module: WebAssembly.Module, arena: Arena, path?: DotPath, bounds: BoundsChecks = "pages"): Kernels {
  const { exports } = new WebAssembly.Instance(module, { env: { memory: arena.memory } });
  for (const name of GLOBALS) readGlobal(exports, name);
  checkExports(exports, ARITIES);
  if ("probeDot" in exports) checkExports(exports, RELAXED_ARITIES);
  const records = recordsOf(exports);
  const run = exports as unknown as RelaxedExports;
  arena.allocate("module", run.heapBase.value as number, "the kernels' own data");
  const possible = pathsOf(run);
  const chosen = path ?? possible[0]!;
  if (!possible.includes(chosen))
    throw new FathomError("unavailable", `This host or build has no ${chosen} path; it has ${possible.join(", ")}.`, "path");
  const multiply = { ...multiplyOf(run, chosen, bounds === "code"), f32: run.multiplyF32 };
  const embed = { f32: run.embedF32, q8: run.embedQ8, q4: run.embedQ4 };
  return { run, path: chosen, multiply, embed, forms: formsOf(exports, chosen), records };
}

/** The matrix products alone, for a thread that shares a memory whose kernels are bound already. */
export function bindMatrices(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  path: DotPath,
  bounds: BoundsChecks,
): Kernels["multiply"] {
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as RelaxedExports;
  return { ...multiplyOf(run, path, bounds === "code"), f32: run.multiplyF32 };
}

/** Best first. */
function pathsOf(run: RelaxedExports): DotPath[] {
  if (run.probeDot === undefined) return ["plain"];
  const single = PROBE_RESULTS.get(run.probeDot(-127, 200));
  return single === undefined ? ["i16", "plain"] : [single, "i16", "plain"];
}

function multiplyOf(run: RelaxedExports, path: DotPath, checked: boolean): Record<QuantFormat, Multiply> {
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

/**
 * A kernel build in a memory of its own, with numbers put into it and read back: for tests of single kernels.
 */
import { Arena } from "../../wasm/arena.ts";
import { bindKernels, type BoundsChecks, type DotPath, type Kernels } from "../../wasm/kernels.ts";
import { writeRecord, type RecordValues } from "../../wasm/records.ts";
import { readWasmModule, type WasmBuild } from "../../wasm/node.ts";
import { quantise } from "../../engine/model/quantise.ts";
import type { QuantLayout } from "../../engine/model/quantised.ts";
import { supportsRelaxedSimd } from "../../wasm/select.ts";

const ZERO_ROW = { x: 0, query: 0, entry: 0, list: 0, count: 0, shift: 0, angles: 0, strongest: 0 };
const ZERO_MATRIX = { weights: 0, tileBytes: 0, columns: 0, group: 0, form: 0, xStride: 0, yStride: 0 };
const ZERO_BLOCK = { width: 0, eps: 0, heads: 0, kvHeads: 0, headDim: 0, interleaved: 0, scale: 0, valueOffset: 0, scaleOffset: 0 };

export class Host {
  readonly arena = new Arena(64 * 1048576);
  readonly kernels: Kernels;

  constructor(module: WebAssembly.Module, path?: DotPath, bounds?: BoundsChecks) {
    this.kernels = bindKernels(module, this.arena, path, bounds);
  }

  get run(): Kernels["run"] {
    return this.kernels.run;
  }

  room(bytes: number): number {
    return this.arena.allocate("scratch", bytes, "a test's numbers").address;
  }

  put(values: Float32Array): number {
    const at = this.room(values.byteLength);
    this.arena.floats.set(values, at / 4);
    return at;
  }

  putBytes(bytes: Uint8Array): number {
    const at = this.room(bytes.length);
    this.arena.bytes.set(bytes, at);
    return at;
  }

  /** Bytes that end where the memory does; a mebibyte before them stays for what else is put. */
  putLast(bytes: Uint8Array): number {
    const rest = this.arena.allocate("scratch", 1 << 20, "a test's numbers");
    const { limitBytes, usedBytes } = this.arena.ledger();
    this.room(limitBytes - usedBytes);
    this.arena.free(rest);
    const at = this.arena.bytes.length - bytes.length;
    this.arena.bytes.set(bytes, at);
    return at;
  }

  /** Little-endian 32-bit words. */
  putWords(words: readonly number[]): number {
    const at = this.room(words.length * 4);
    this.arena.words.set(words, at / 4);
    return at;
  }

  floats(at: number, length: number): Float32Array<ArrayBuffer> {
    return this.arena.floats.slice(at / 4, at / 4 + length);
  }

  /** A row table; fields left out are 0. */
  table(rows: readonly Partial<RecordValues<"Row">>[]): number {
    const { Row } = this.kernels.records;
    const at = this.room(rows.length * Row.bytes);
    rows.forEach((row, i) => writeRecord(this.arena, Row, at + i * Row.bytes, { ...ZERO_ROW, ...row }));
    return at;
  }

  /** A matrix's record; fields left out are 0. */
  matrix(values: Partial<RecordValues<"Matrix">>): number {
    const at = this.room(this.kernels.records.Matrix.bytes);
    writeRecord(this.arena, this.kernels.records.Matrix, at, { ...ZERO_MATRIX, ...values });
    return at;
  }

  /** The blocks' record; fields left out are 0. */
  block(values: Partial<RecordValues<"Block">>): number {
    const at = this.room(this.kernels.records.Block.bytes);
    writeRecord(this.arena, this.kernels.records.Block, at, { ...ZERO_BLOCK, ...values });
    return at;
  }

  /** y = x W^T for `rows` rows of x, through quantised activations; the weights somewhere, or last in the memory. */
  multiply(
    weights: Float32Array,
    layout: QuantLayout,
    x: Float32Array,
    rows: number,
    put: "putBytes" | "putLast" = "putBytes",
  ): Float32Array {
    const { format, columns, group } = layout;
    const tiles = Math.ceil(layout.rows / 16);
    const bytes = quantise(weights, layout);
    const form = this.kernels.forms[format];
    const xStride = Math.ceil(this.run.quantisedRowBytes(columns, group, form) / 16) * 16;
    const place = { weights: this[put](bytes), tileBytes: bytes.length / tiles, xStride, yStride: tiles * 64 };
    const matrix = this.matrix({ ...place, columns, group, form });
    const activations = this.room(rows * xStride);
    this.run.quantiseRows(matrix, this.put(x), columns * 4, rows, activations);
    const y = this.room(rows * tiles * 64);
    this.kernels.multiply[format](matrix, 0, tiles, activations, rows, y);
    const padded = this.floats(y, rows * tiles * 16);
    return Float32Array.from(
      { length: rows * layout.rows },
      (_, i) => padded[Math.floor(i / layout.rows) * tiles * 16 + (i % layout.rows)]!,
    );
  }
}

/** Every build and path that this host can run. */
export async function hostPaths(): Promise<{ name: string; build: WasmBuild; path: DotPath; module: WebAssembly.Module }[]> {
  const found: { name: string; build: WasmBuild; path: DotPath; module: WebAssembly.Module }[] = [];
  for (const build of ["relaxed", "simd"] as const) {
    if (build === "relaxed" && !supportsRelaxedSimd()) continue;
    const module = await readWasmModule(build);
    for (const path of ["u8", "i8", "i16", "plain"] as const)
      try {
        const host = new Host(module, path);
        found.push({ name: `${build} ${path}`, build, path: host.kernels.path, module });
      } catch {
        // this host reads the dot's second operand in the other way
      }
  }
  return found;
}

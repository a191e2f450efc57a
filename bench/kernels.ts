/**
 * fathom bench kernels: what each Wasm kernel reaches, beside the ceiling loop of the same rounds (register-only relaxed
 * dots: V8's limit on this machine). GMAC/s = 1e9 multiply-adds a second.
 */
import type { QuantFormat } from "../engine/model/quantised.ts";
import { Arena } from "../wasm/arena.ts";
import { bindKernels, type DotPath, type Kernels } from "../wasm/kernels.ts";
import { writeRecord } from "../wasm/records.ts";
import { readWasmModule } from "../wasm/node.ts";
import { supportsRelaxedSimd } from "../wasm/select.ts";
import { ceilingJob, ceilingOf } from "./ceiling.ts";
import { randomFloats, randomTiles } from "./model.ts";
import { timeJobs, type Job } from "./timing.ts";

export interface KernelRow {
  readonly engine: string;
  readonly kernel: string;
  readonly shape: string;
  /** Rows of activations in the call. */
  readonly rows: number;
  readonly gmacs: number;
  /** The ceiling loop in the same rounds; 0 where this host has no relaxed SIMD. */
  readonly ceilingGmacs: number;
  readonly microseconds: number;
}

/** Rows and columns of the matrices; the last, 19, 36 and 134 MB in q4, q8 and f32, comes from memory where no cache holds it. */
const SHAPES: readonly [number, number][] = [
  [512, 512],
  [1024, 1024],
  [4096, 1024],
  [32000, 512],
  [8192, 4096],
];
const BATCHES = [16, 64];
/** Rows of a matrix above which one row of activations is enough. */
const MOST_ROWS_BATCHED = 4096;

interface Measured extends Job {
  readonly row: Omit<KernelRow, "gmacs" | "ceilingGmacs" | "microseconds">;
  readonly macs: number;
}

/**
 * @param rounds [default 15]
 * @param only   part of a kernel's name and shape [default all]
 */
export async function benchKernels(
  rounds = 15,
  only = "",
  onProgress: (done: number, total: number) => void = () => {},
): Promise<KernelRow[]> {
  const wanted = ({ row }: Measured): boolean => `${row.kernel} ${row.shape} ${row.rows}`.includes(only);
  const relaxed = supportsRelaxedSimd() ? await readWasmModule("relaxed") : undefined;
  const simd = await readWasmModule("simd");
  const ceiling = relaxed === undefined ? undefined : await ceilingJob();
  const groups = jobGroups(relaxed, simd);
  return groups.flatMap((jobs, i) => {
    const rows = measure(jobs().filter(wanted), ceiling, rounds);
    onProgress(i + 1, groups.length);
    return rows;
  });
}

/** Jobs that are timed in the same rounds; made when their turn comes, as each holds a memory of its own. */
function jobGroups(relaxed: WebAssembly.Module | undefined, simd: WebAssembly.Module): (() => Measured[])[] {
  const paths: [WebAssembly.Module, DotPath | undefined][] =
    relaxed === undefined
      ? []
      : [
          [relaxed, undefined],
          [relaxed, "i16"],
        ];
  paths.push([simd, "plain"]);
  const products = SHAPES.flatMap((shape) =>
    paths.map(([module, path]) => () => {
      const formats = path === "i16" ? (["q4"] as const) : (["q4", "q8"] as const);
      const jobs = formats.flatMap((format) => matrixJobs(module, path, format, shape));
      return path === undefined ? [...jobs, ...f32Jobs(module, shape)] : jobs;
    }),
  );
  return [...products, ...(relaxed === undefined ? [simd] : [relaxed, simd]).map((module) => () => betweenJobs(module))];
}

function measure(jobs: readonly Measured[], ceiling: Job | undefined, rounds: number): KernelRow[] {
  if (jobs.length === 0) return [];
  const seconds = timeJobs(ceiling === undefined ? jobs : [ceiling, ...jobs], { rounds });
  const limit = ceiling === undefined ? 0 : ceilingOf(seconds.get(ceiling.name)!);
  return jobs.map(({ name, row, macs }) => ({
    ...row,
    gmacs: macs / seconds.get(name)! / 1e9,
    ceilingGmacs: limit,
    microseconds: seconds.get(name)! * 1e6,
  }));
}

/** A memory of its own for every job: its matrix alone is what the caches hold. */
function host(module: WebAssembly.Module, path: DotPath | undefined): { arena: Arena; kernels: Kernels; room(bytes: number): number } {
  const arena = new Arena(256 * 1048576);
  const kernels = bindKernels(module, arena, path);
  return { arena, kernels, room: (bytes) => arena.allocate("scratch", bytes, "a benchmark").address };
}

function matrixJobs(
  module: WebAssembly.Module,
  path: DotPath | undefined,
  format: QuantFormat,
  [rows, columns]: readonly [number, number],
): Measured[] {
  const groups = format === "q4" && path === undefined ? [64, 32, 128] : [64];
  return groups.flatMap((group) => {
    const { arena, kernels, room } = host(module, path);
    const tiles = randomTiles({ format, rows, columns, group }, 3);
    const w = room(tiles.length);
    arena.bytes.set(tiles, w);
    const most = Math.max(...BATCHES);
    const form = kernels.forms[format];
    const xStride = Math.ceil(kernels.run.quantisedRowBytes(columns, group, form) / 64) * 64;
    const [floats, x, y] = [room(most * columns * 4), room(most * xStride), room(most * rows * 4)];
    const matrix = room(kernels.records.Matrix.bytes);
    const tileBytes = (16 * tiles.length) / rows;
    writeRecord(arena, kernels.records.Matrix, matrix, { weights: w, tileBytes, columns, group, form, xStride, yStride: rows * 4 });
    arena.floats.set(randomFloats(most * columns, 4, 1), floats / 4);
    kernels.run.quantiseRows(matrix, floats, columns * 4, most, x);
    const multiply = kernels.multiply[format];
    const batches = rows > MOST_ROWS_BATCHED || group !== 64 ? [1] : [1, ...BATCHES];
    return batches.map((batch) => {
      const kernel = `${format} g${group} ${kernels.path}`;
      const shape = `${rows}x${columns}`;
      return {
        name: `${kernel} ${shape} ${batch}`,
        row: { engine: "fathom-wasm", kernel, shape, rows: batch },
        macs: rows * columns * batch,
        run: () => multiply(matrix, 0, rows / 16, x, batch, y),
      };
    });
  });
}

function f32Jobs(module: WebAssembly.Module, [rows, columns]: readonly [number, number]): Measured[] {
  const { arena, kernels, room } = host(module, undefined);
  const [w, x, y] = [room(rows * columns * 4), room(16 * columns * 4), room(16 * rows * 4)];
  arena.floats.set(randomFloats(rows * columns, 5, 1), w / 4);
  arena.floats.set(randomFloats(16 * columns, 6, 1), x / 4);
  const matrix = room(kernels.records.Matrix.bytes);
  const strides = { tileBytes: columns * 64, xStride: columns * 4, yStride: rows * 4 };
  writeRecord(arena, kernels.records.Matrix, matrix, { weights: w, columns, group: 0, form: 0, ...strides });
  return (rows > MOST_ROWS_BATCHED ? [1] : [1, 16]).map((batch) => ({
    name: `f32 ${rows}x${columns} ${batch}`,
    row: { engine: "fathom-wasm", kernel: "f32", shape: `${rows}x${columns}`, rows: batch },
    macs: rows * columns * batch,
    run: () => kernels.run.multiplyF32(matrix, 0, rows / 16, x, batch, y),
  }));
}

/** The shape that decode is compared on, and how far back its row attends. */
const BETWEEN = { width: 512, mlp: 1408, heads: 8, headDim: 64, positions: 256, group: 64 } as const;

/** One row of BETWEEN with a filled cache of each form, and the records by which kernels know it. */
function rowScene(module: WebAssembly.Module) {
  const { width, mlp, heads, headDim, positions, group } = BETWEEN;
  const { arena, kernels, room } = host(module, undefined);
  const { run, forms, records } = kernels;
  const floats = (n: number, seed: number): number => {
    const at = room(n * 4);
    arena.floats.set(randomFloats(n, seed, 1), at / 4);
    return at;
  };
  const [x, weight, y, out] = [floats(width, 1), floats(width, 2), floats(2 * mlp, 3), room(16384)];
  const table = room(records.Row.bytes);
  const blockOf = (valueOffset: number, scaleOffset: number): number => {
    const at = room(records.Block.bytes);
    const scale = 1 / Math.sqrt(headDim);
    const model = { width, eps: 1e-6, heads, kvHeads: heads, headDim, interleaved: 1, scale };
    writeRecord(arena, records.Block, at, { ...model, valueOffset, scaleOffset });
    return at;
  };
  const matrixOf = (columns: number): number => {
    const at = room(records.Matrix.bytes);
    writeRecord(arena, records.Matrix, at, { weights: 0, tileBytes: 0, columns, group, form: forms.q4, xStride: 0, yStride: 0 });
    return at;
  };
  const blocks = { f32: blockOf(width * 4, 0), int8: blockOf(576, 512) };
  const [ofWidth, ofMlp] = [matrixOf(width), matrixOf(mlp)];
  const [scores, angles, query] = [room(positions * 4), floats(headDim, 5), floats(width, 6)];
  const entryBytes = { f32: 2 * width * 4, int8: 576 + 544 };
  const lists = { f32: room(positions * 4), int8: room(positions * 4) };
  const entries = { f32: room(positions * entryBytes.f32), int8: room(positions * entryBytes.int8) };
  const setRow = (entry: number, list: number): void =>
    writeRecord(arena, records.Row, table, { x, query, entry, list, count: positions, shift: 0, angles, strongest: 0 });
  const store = {
    f32: () => run.storeRows(blocks.f32, table, 1, y, 0, heads, y),
    int8: () => run.storeRowsInt8(blocks.int8, table, 1, y, 0, heads, y),
  };
  for (const kv of ["f32", "int8"] as const)
    for (let p = 0; p < positions; p++) {
      arena.floats.set(randomFloats(3 * width, 100 + p, 1), y / 4);
      arena.words[lists[kv] / 4 + p] = entries[kv] + p * entryBytes[kv];
      setRow(entries[kv] + p * entryBytes[kv], lists[kv]);
      store[kv]();
    }
  const withList = (kv: "f32" | "int8", go: () => void) => (): void => {
    arena.words[table / 4 + records.Row.at.list] = lists[kv];
    go();
  };
  return { kernels, table, x, weight, y, out, scores, blocks, ofWidth, ofMlp, store, withList };
}

/** What lies between the matrices, for one row of the shape that decode is compared on. */
function betweenJobs(module: WebAssembly.Module): Measured[] {
  const { width, mlp, heads, headDim, positions } = BETWEEN;
  const { kernels, table, x, weight, y, out, scores, blocks, ofWidth, ofMlp, store, withList } = rowScene(module);
  const { run, path } = kernels;
  const job = (kernel: string, shape: string, macs: number, go: () => void): Measured => ({
    name: kernel,
    row: { engine: "fathom-wasm", kernel: `${kernel} ${path}`, shape, rows: 1 },
    macs,
    run: go,
  });
  const attention = `${heads} heads of ${headDim}, ${positions} positions`;
  return [
    job("norm and quantise", `${width}`, width, () => run.normQuantiseRows(blocks.f32, ofWidth, table, 1, weight, out)),
    job("add and norm", `${width}`, width, () => run.addNormRows(blocks.f32, table, 1, y, 0, weight)),
    job("quantise", `${width}`, width, () => run.quantiseRows(ofWidth, x, 0, 1, out)),
    job("gate and quantise", `${mlp}`, mlp, () => run.gateQuantiseRows(ofMlp, y, 0, 1, out)),
    job("rotary and store f32", `${3 * width}`, 3 * width, store.f32),
    job("rotary and store int8", `${3 * width}`, 3 * width, store.int8),
    job(
      "attention f32",
      attention,
      2 * width * positions,
      withList("f32", () => run.attendRows(blocks.f32, table, 1, scores, out, 0)),
    ),
    job(
      "attention int8",
      attention,
      2 * width * positions,
      withList("int8", () => run.attendRowsInt8(blocks.int8, table, 1, scores, out, 0)),
    ),
  ];
}

export function kernelTable(rows: readonly KernelRow[]): string {
  const cells = rows.map((r) => [
    r.kernel,
    r.shape,
    `${r.rows}`,
    r.gmacs.toFixed(1),
    r.ceilingGmacs.toFixed(1),
    r.ceilingGmacs > 0 ? `${((100 * r.gmacs) / r.ceilingGmacs).toFixed(0)} %` : "",
    r.microseconds.toFixed(2),
  ]);
  const lines = [["kernel", "shape", "rows", "GMAC/s", "ceiling", "share", "us"], ...cells];
  const widths = lines[0]!.map((_, c) => Math.max(...lines.map((line) => line[c]!.length)));
  return lines.map((line) => line.map((cell, c) => (c < 2 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join("  ")).join("\n");
}

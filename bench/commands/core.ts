/**
 * fathom bench kernels, fathom bench decode: options and output of bench/kernels.ts, decode.ts and webgpu.ts. Their modules
 * are loaded when asked for: decode starts a local Workers runtime, a development dependency.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DecodeOptions, DecodeRow, LinearFit } from "../decode.ts";
import type { KernelRow } from "../kernels.ts";
import { BENCH_FORMATS } from "../model.ts";
import type { WayRow } from "../ways.ts";
import type { GpuBench } from "../webgpu.ts";
import { loadModel, type BackendFactory } from "../../engine/port/model.ts";
import { choice, list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { evalFiles, readProblems } from "../../cli/eval-score.ts";
import { diskFolder } from "../../cli/files.ts";
import { DEFAULT_MODEL, loadNodeModel, modelPath } from "../../cli/models.ts";
import { withProgress, withReports } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchKernelsCommand = defineCommand({
  meta: { name: "kernels", description: "Every Wasm kernel beside the ceiling loop of the same rounds" },
  examples: ["fathom bench kernels --only q4 --rounds 5"],
  args: {
    rounds: { type: "string", default: "15", description: "interleaved rounds; medians are shown" },
    only: { type: "string", description: "only kernels whose name or shape holds this text" },
    peers: { type: "boolean", default: false, description: "and other engines' matrix products (npm install in bench/peers first)" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const { benchKernels, kernelTable } = await import("../kernels.ts");
    const rounds = wholeNumber("--rounds", args.rounds, 1, 1000);
    const peerKernels = args.peers ? (await import("../peers.ts")).peerKernelRows : undefined;
    const measure = async (): Promise<{ rows: KernelRow[] }> => {
      const peers = (await withReports("peers' products", (report) => peerKernels?.(rounds, report))) ?? [];
      const own = await withReports("groups of kernels", (report) => benchKernels(rounds, args.only ?? "", report));
      return { rows: [...own, ...peers] };
    };
    await runBench("kernels", args, measure, ({ rows }) => console.log(kernelTable(rows)));
  },
});

export const benchDecodeCommand = defineCommand({
  meta: { name: "decode", description: "Prompt and decode speed of a 25.7 M weight model, in Node and in workerd" },
  examples: ["fathom bench decode --iterations 1,8 --no-workerd --json"],
  args: {
    rounds: { type: "string", default: "5", description: "interleaved rounds; medians are shown" },
    iterations: { type: "string", default: "1,4,8,16,32", description: "core iterations, comma-separated" },
    backend: { type: "string", default: "wasm", description: "wasm, or webgpu beside wasm" },
    only: { type: "string", description: "on webgpu, some of its parts: shape, shipped, dispatch, mat-vec" },
    formats: { type: "string", default: "q4,q4 q8-head,q8", description: `of weights, comma-separated: ${BENCH_FORMATS.join(", ")}` },
    caches: { type: "string", default: "f32,int8", description: "formats of the cache, comma-separated" },
    workerd: { type: "boolean", default: true, description: "measure inside workerd, too" },
    ways: {
      type: "string",
      default: "0",
      description: "also compare ways to decode on the shipped model, on N problems of each task and level",
    },
    peers: { type: "boolean", default: false, description: "and other engines on the same work (npm install in bench/peers first)" },
    profile: { type: "boolean", default: false, description: "only where a decoded token's time goes, kernel by kernel" },
    docs: { type: "string", description: "on webgpu, write the tables into this folder" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    if (choice("--backend", args.backend, ["wasm", "webgpu"] as const) === "webgpu") return benchOnGpu(args);
    const { decodeTable, profileDecode, profileTable } = await import("../decode.ts");
    if (args.profile) {
      await runBench(
        "decode-profile",
        args,
        () => profileDecode(),
        (profile) => console.log(profileTable(profile)),
      );
      return;
    }
    const options = {
      rounds: wholeNumber("--rounds", args.rounds, 1, 1000),
      iterations: wholeNumbers("--iterations", args.iterations, 1, 1024),
      formats: list("--formats", args.formats).map((f) => choice("--formats", f, BENCH_FORMATS)),
      caches: list("--caches", args.caches).map((c) => choice("--caches", c, ["f32", "int8"] as const)),
      workerd: args.workerd,
    };
    const each = wholeNumber("--ways", args.ways, 0, 1e6);
    await runBench(
      "decode",
      args,
      () => measureDecode(options, args.peers, each),
      ({ rows, fits, ways }) => {
        console.log(decodeTable(rows, fits));
        if (ways.length > 0) console.table(ways);
      },
    );
  },
});

interface DecodeResult {
  readonly rows: readonly DecodeRow[];
  readonly fits: readonly LinearFit[];
  readonly ways: readonly WayRow[];
}

async function measureDecode(
  options: Required<Omit<DecodeOptions, "onProgress">>,
  withPeers: boolean,
  ways: number,
): Promise<DecodeResult> {
  const { benchDecode } = await import("../decode.ts");
  const peerDecode = withPeers ? (await import("../peers.ts")).peerDecodeRows : undefined;
  const peers = (await withReports("peers' rounds", (report) => peerDecode?.(options.rounds, options.iterations, report))) ?? [];
  const own = await withReports("runs", (onProgress) => benchDecode({ ...options, onProgress }));
  return { rows: [...own.rows, ...peers], fits: own.fits, ways: ways === 0 ? [] : await waysOfShipped(ways) };
}

async function benchOnGpu(args: GpuArgs): Promise<void> {
  const { benchWebGpu, gpuTable, GPU_BENCH_PARTS } = await import("../webgpu.ts");
  const options = {
    rounds: wholeNumber("--rounds", args.rounds, 1, 1000),
    iterations: wholeNumbers("--iterations", args.iterations, 1, 1024),
    parts: args.only === undefined ? GPU_BENCH_PARTS : list("--only", args.only).map((part) => choice("--only", part, GPU_BENCH_PARTS)),
    loadShipped: (factory: BackendFactory) => loadModel(diskFolder(modelPath(DEFAULT_MODEL)), factory),
  };
  const measure = (): Promise<GpuBench> => withReports("runs", (onProgress) => benchWebGpu({ ...options, onProgress }));
  const result = await runBench("webgpu", args, measure, (figures) => console.log(gpuTable(figures)));
  if (args.docs === undefined) return;
  const { gpuReport } = await import("../webgpu-report.ts");
  await writeFile(join(args.docs, "webgpu-table.md"), gpuReport(result, "fathom bench decode --backend webgpu --docs docs"));
}

interface GpuArgs {
  readonly rounds: string;
  readonly iterations: string;
  readonly only: string | undefined;
  readonly docs: string | undefined;
  readonly json: boolean;
  readonly save: boolean;
}

/** Self-speculation and the exact wavefront against plain decoding; by itself: fathom bench ways. */
async function waysOfShipped(each: number): Promise<WayRow[]> {
  const { compareWays } = await import("../ways.ts");
  const model = await loadNodeModel(DEFAULT_MODEL, "wasm");
  const problems = await readProblems(await evalFiles(modelPath(DEFAULT_MODEL)), each);
  return withProgress(problems.length, "problems", (step) => compareWays(model, problems, step));
}

/**
 * fathom bench kernels, fathom bench decode: options and output of bench/kernels.ts, decode.ts and webgpu.ts. Their modules
 * are loaded when asked for: decode starts a local Workers runtime, a development dependency.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WayRow } from "../bench/ways.ts";
import { loadModel } from "../engine/port/model.ts";
import { choice, list, wholeNumber, wholeNumbers } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { evalFiles, readProblems } from "./eval-score.ts";
import { diskFolder } from "./files.ts";
import { DEFAULT_MODEL, loadNodeModel, modelPath } from "./models.ts";

export const benchKernelsCommand = defineCommand({
  meta: { name: "kernels", description: "Every Wasm kernel beside the ceiling loop of the same rounds" },
  examples: ["fathom bench kernels --only q4 --rounds 5"],
  args: {
    rounds: { type: "string", default: "15", description: "interleaved rounds; medians are shown" },
    only: { type: "string", description: "only kernels whose name or shape holds this text" },
    peers: { type: "boolean", default: false, description: "and other engines' matrix products (npm install in bench/peers first)" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const { benchKernels, kernelTable } = await import("../bench/kernels.ts");
    const rounds = wholeNumber("--rounds", args.rounds, 1, 1000);
    const peers = args.peers ? await (await import("../bench/peers.ts")).peerKernelRows(rounds) : [];
    const rows = [...(await benchKernels(rounds, args.only ?? "")), ...peers];
    console.log(args.json ? JSON.stringify({ rows }) : kernelTable(rows));
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
    workerd: { type: "boolean", default: true, description: "measure inside workerd, too" },
    ways: {
      type: "string",
      default: "0",
      description: "also compare ways to decode on the shipped model, on N problems of each task and level",
    },
    peers: { type: "boolean", default: false, description: "and other engines on the same work (npm install in bench/peers first)" },
    profile: { type: "boolean", default: false, description: "only where a decoded token's time goes, kernel by kernel" },
    docs: { type: "string", description: "on webgpu, write the tables into this folder" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    if (choice("--backend", args.backend, ["wasm", "webgpu"] as const) === "webgpu") return benchOnGpu(args);
    const { benchDecode, decodeTable, profileDecode, profileTable } = await import("../bench/decode.ts");
    if (args.profile) {
      const profile = await profileDecode();
      console.log(args.json ? JSON.stringify(profile) : profileTable(profile));
      return;
    }
    const [rounds, iterations] = [wholeNumber("--rounds", args.rounds, 1, 1000), wholeNumbers("--iterations", args.iterations, 1, 1024)];
    const peers = args.peers ? await (await import("../bench/peers.ts")).peerDecodeRows(rounds, iterations) : [];
    const own = await benchDecode({ rounds, iterations, workerd: args.workerd });
    const [rows, fits] = [[...own.rows, ...peers], own.fits];
    const each = wholeNumber("--ways", args.ways, 0, 1e6);
    const ways = each === 0 ? [] : await waysOfShipped(each);
    if (args.json) console.log(JSON.stringify({ rows, fits, ways }));
    else {
      console.log(decodeTable(rows, fits));
      if (ways.length > 0) console.table(ways);
    }
  },
});

async function benchOnGpu(args: {
  rounds: string;
  iterations: string;
  only: string | undefined;
  docs: string | undefined;
  json: boolean;
}): Promise<void> {
  const { benchWebGpu, gpuTable, GPU_BENCH_PARTS } = await import("../bench/webgpu.ts");
  const parts =
    args.only === undefined ? GPU_BENCH_PARTS : list("--only", args.only).map((part) => choice("--only", part, GPU_BENCH_PARTS));
  const result = await benchWebGpu({
    rounds: wholeNumber("--rounds", args.rounds, 1, 1000),
    iterations: wholeNumbers("--iterations", args.iterations, 1, 1024),
    parts,
    loadShipped: (factory) => loadModel(diskFolder(modelPath(DEFAULT_MODEL)), factory),
  });
  if (args.docs !== undefined) {
    const { gpuReport } = await import("../bench/webgpu-report.ts");
    await writeFile(join(args.docs, "webgpu-table.md"), gpuReport(result, "fathom bench decode --backend webgpu --docs docs"));
  }
  console.log(args.json ? JSON.stringify(result) : gpuTable(result));
}

/** Self-speculation and the exact wavefront against plain decoding; by itself: fathom bench ways. */
async function waysOfShipped(each: number): Promise<WayRow[]> {
  const { compareWays } = await import("../bench/ways.ts");
  const model = await loadNodeModel(DEFAULT_MODEL, "wasm");
  return compareWays(model, await readProblems(await evalFiles(modelPath(DEFAULT_MODEL)), each), () => undefined);
}

/**
 * node bench/peers/run.ts [--json] [--rounds N] [--only TEXT] [--iterations 1,4] [--kernels]: Fathom beside other engines on
 * the same work, one thread each, in the same interleaved rounds. Beyond r = 1 the only peer is onnxruntime-web with the
 * graphs that Fathom exports: no other engine runs a recurrent model. Needs `npm install` in this folder.
 */
import { parseArgs } from "node:util";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { decodeRun, type DecodeRun } from "../decode-run.ts";
import { decodeTable, type DecodeRow } from "../decode.ts";
import { ceilingGmacs } from "../ceiling.ts";
import { kernelTable, type KernelRow } from "../kernels.ts";
import { onnxBenchEngines } from "../onnx.ts";
import { BENCH_CONFIG, BENCH_LIMIT_BYTES, benchPrompt, benchWeights, NEW_TOKENS, type BenchFormat } from "../model.ts";
import { endWithParent, tellProgress } from "../child.ts";
import { median } from "../timing.ts";
import type { Peer } from "./engine.ts";
import { llamaNative } from "./llama-native.ts";
import { ORT_FORMATS, onnxruntime, onnxruntimeMatrix } from "./onnxruntime.ts";
import { wllama } from "./wllama.ts";

/** A peer's repetitions in a round, of which the fastest counts, as in bench/decode-run.ts. */
const REPETITIONS = 3;
const MATRIX_SHAPES = [
  [1024, 1024, 1],
  [4096, 1024, 1],
  [4096, 1024, 16],
] as const;

function fathom(format: BenchFormat, kv: "f32" | "int8", iterations: number): Peer {
  return {
    engine: "fathom-wasm",
    format: `${format}, ${kv} cache`,
    iterations,
    async prepare() {
      const backend = await createNodeWasmBackend(BENCH_CONFIG, benchWeights(BENCH_CONFIG, format), { kv, limitBytes: BENCH_LIMIT_BYTES });
      return { round: async () => decodeRun(backend, iterations), close: async () => {} };
    },
  };
}

/** The very model that fathom-wasm runs, through Fathom's own ONNX export. */
function exported(iterations: number): Peer[] {
  const prompt = benchPrompt();
  const load = benchWeights(BENCH_CONFIG, "q8");
  const engines = onnxBenchEngines({ config: BENCH_CONFIG, load, prompt, newTokens: NEW_TOKENS, iterations, repetitions: 1 });
  return engines.map((peer) => ({ ...peer, engine: "onnxruntime-web, exported by Fathom", iterations }));
}

function peersAt(iterations: number): Peer[] {
  if (iterations > 1) return [fathom("q4 q8-head", "int8", iterations), fathom("q4", "int8", iterations), ...exported(iterations)];
  return [
    fathom("q4 q8-head", "int8", 1),
    fathom("q4", "int8", 1),
    fathom("q4", "f32", 1),
    fathom("q8", "int8", 1),
    fathom("f32", "f32", 1),
    ...ORT_FORMATS.map(onnxruntime),
    ...exported(1),
    wllama("q4_0"),
    wllama("q8_0"),
    llamaNative("q4_0"),
    llamaNative("q8_0"),
  ];
}

async function decodeRows(peers: readonly Peer[], rounds: number, onRound: () => Promise<void>): Promise<DecodeRow[]> {
  const engines = [];
  for (const peer of peers) engines.push({ peer, prepared: await peer.prepare(), samples: [] as DecodeRun[] });
  for (let round = 0; round <= rounds; round++)
    for (const { peer, prepared, samples } of engines) {
      const runs: DecodeRun[] = [];
      for (let n = 0; n < (peer.engine === "fathom-wasm" ? 1 : REPETITIONS); n++) runs.push(await prepared.round());
      await onRound();
      const best = (figure: keyof DecodeRun): number => Math.max(...runs.map((r) => r[figure]));
      if (round > 0) samples.push({ prefillTokensPerSecond: best("prefillTokensPerSecond"), decodeTokensPerSecond: best("decodeTokensPerSecond") });
    }
  for (const { prepared } of engines) await prepared.close();
  return engines.map(({ peer, samples }) => ({
    engine: peer.engine,
    format: peer.format,
    iterations: peer.iterations ?? 1,
    prefillTokensPerSecond: median(samples.map((s) => s.prefillTokensPerSecond)),
    decodeTokensPerSecond: median(samples.map((s) => s.decodeTokensPerSecond)),
    host: "node",
  }));
}

async function kernelRows(rounds: number): Promise<KernelRow[]> {
  const rows: KernelRow[] = [];
  const total = ORT_FORMATS.length * MATRIX_SHAPES.length;
  for (const format of ORT_FORMATS)
    for (const [matrixRows, columns, batch] of MATRIX_SHAPES) {
      const matrix = await onnxruntimeMatrix(format, matrixRows, columns, batch);
      const seconds: number[] = [];
      for (let round = 0; round < rounds + 3; round++) {
        let best = Infinity;
        for (let n = 0; n < 8; n++) {
          const start = performance.now();
          await matrix.run();
          best = Math.min(best, (performance.now() - start) / 1000);
        }
        if (round >= 3) seconds.push(best);
      }
      await matrix.close();
      const time = median(seconds);
      const gmacs = (matrixRows * columns * batch) / time / 1e9;
      rows.push({ engine: matrix.engine, kernel: format, shape: `${matrixRows}x${columns}`, rows: batch, gmacs, ceilingGmacs: await ceilingGmacs(), microseconds: time * 1e6 });
      await tellProgress({ done: rows.length, total });
    }
  return rows;
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
    iterations: { type: "string", default: "1" },
    kernels: { type: "boolean", default: false },
  },
});
endWithParent();
const rounds = Number(values.rounds);
if (values.kernels) {
  const rows = await kernelRows(rounds);
  console.log(values.json ? JSON.stringify({ rows }) : kernelTable(rows));
} else {
  const depths = values.iterations.split(",").map((r) => peersAt(Number(r)).filter((p) => `${p.engine} ${p.format}`.includes(values.only)));
  const total = depths.flat().length * (rounds + 1);
  let done = 0;
  const rows: DecodeRow[] = [];
  for (const peers of depths) rows.push(...(await decodeRows(peers, rounds, () => tellProgress({ done: ++done, total }))));
  console.log(values.json ? JSON.stringify({ rows }) : decodeTable(rows, []));
}
process.exit(0); // wllama's workers would keep the process

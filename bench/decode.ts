/**
 * fathom bench decode: prompt and decode speed of the shape in bench/model.ts, in Node and in local workerd, in the same
 * interleaved rounds.
 */
import { fileURLToPath } from "node:url";
import { unstable_startWorker as startWorker } from "wrangler";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import type { WasmBackend } from "../wasm/backend.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";
import type { KvFormat } from "../wasm/sequence.ts";
import { decodeRun, type DecodeRun } from "./decode-run.ts";
import { BENCH_CONFIG, BENCH_LIMIT_BYTES, benchPrompt, benchWeights, type BenchFormat } from "./model.ts";
import { profileKernels, type KernelTime } from "./profile.ts";
import { median } from "./timing.ts";

export interface DecodeRow extends DecodeRun {
  readonly engine: string;
  readonly format: string;
  /** Core iterations, r; at r = 1 the model has the peers' 8 layers. */
  readonly iterations: number;
  readonly host: "node" | "workerd";
}

/** Seconds a token = base + slope * r, by least squares over the rows of one format and host. */
export interface LinearFit {
  readonly format: string;
  readonly host: string;
  readonly msBase: number;
  readonly msPerIteration: number;
  /** 1 = the points lie on the line. */
  readonly r2: number;
}

export interface DecodeOptions {
  /** [default all but f32] */
  readonly formats?: readonly BenchFormat[];
  /** [default f32 and int8] */
  readonly caches?: readonly KvFormat[];
  /** [default 1, 4, 8, 16, 32] */
  readonly iterations?: readonly number[];
  /** [default 5] */
  readonly rounds?: number;
  /** [default true] */
  readonly workerd?: boolean;
  /** Called after each measured run. [default nobody] */
  readonly onProgress?: (done: number, total: number) => void;
}

// wrangler: quiet, and without the network
process.env["WRANGLER_SEND_METRICS"] = "false";
process.env["WRANGLER_SEND_ERROR_REPORTS"] = "false";
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";

const WORKER = fileURLToPath(new URL("workerd/wrangler.toml", import.meta.url));

type Runner = (iterations: number) => Promise<DecodeRun>;

export async function benchDecode(options: DecodeOptions = {}): Promise<{ rows: DecodeRow[]; fits: LinearFit[] }> {
  const { formats = ["q4", "q4 q8-head", "q8"], caches = ["f32", "int8"], iterations = [1, 4, 8, 16, 32], rounds = 5 } = options;
  const worker =
    options.workerd === false
      ? undefined
      : await startWorker({ config: WORKER, dev: { logLevel: "error", server: { port: 0 }, inspector: false } });
  const rows: DecodeRow[] = [];
  const total = formats.length * caches.length * (rounds + 1) * iterations.length * (worker === undefined ? 1 : 2);
  let done = 0;
  const onRun = (): void => options.onProgress?.(++done, total);
  for (const format of formats)
    for (const kv of caches) {
      const node = await benchBackend(format, kv);
      const runners: [DecodeRow["host"], Runner][] = [["node", async (r) => decodeRun(node, r)]];
      if (worker !== undefined)
        runners.push([
          "workerd",
          async (r) => {
            const query = new URLSearchParams({ format, kv, iterations: `${r}` });
            return (await (await worker.fetch(`http://bench/?${query}`)).json()) as DecodeRun;
          },
        ]);
      rows.push(...(await measure(`${format}, ${kv} cache`, iterations, rounds, runners, onRun)));
    }
  await worker?.dispose();
  return { rows, fits: fitRows(rows) };
}

async function measure(
  format: string,
  iterations: readonly number[],
  rounds: number,
  runners: readonly [DecodeRow["host"], Runner][],
  onRun: () => void,
): Promise<DecodeRow[]> {
  const samples = new Map<string, DecodeRun[]>();
  for (let round = 0; round <= rounds; round++)
    for (const r of iterations)
      for (const [host, run] of runners) {
        const sample = await run(r);
        onRun();
        if (round > 0) samples.set(`${host} ${r}`, [...(samples.get(`${host} ${r}`) ?? []), sample]); // the first warms up
      }
  return runners.flatMap(([host]) =>
    iterations.map((r) => {
      const own = samples.get(`${host} ${r}`)!;
      return {
        engine: "fathom-wasm",
        format,
        iterations: r,
        prefillTokensPerSecond: median(own.map((s) => s.prefillTokensPerSecond)),
        decodeTokensPerSecond: median(own.map((s) => s.decodeTokensPerSecond)),
        host,
      };
    }),
  );
}

function benchBackend(format: BenchFormat, kv: KvFormat): Promise<WasmBackend> {
  return createNodeWasmBackend(BENCH_CONFIG, benchWeights(BENCH_CONFIG, format), { kv, limitBytes: BENCH_LIMIT_BYTES });
}

function fitRows(rows: readonly DecodeRow[]): LinearFit[] {
  const keys = [...new Set(rows.map((r) => `${r.format}|${r.host}`))];
  return keys.flatMap((key) => {
    const [format, host] = key.split("|") as [string, string];
    const points = rows
      .filter((r) => r.format === format && r.host === host)
      .map((r) => [r.iterations, 1000 / r.decodeTokensPerSecond] as const);
    if (points.length < 3) return [];
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
    const sxy = mean(points.map(([x, y]) => (x - mx) * (y - my)));
    const sxx = mean(points.map(([x]) => (x - mx) ** 2));
    const syy = mean(points.map(([, y]) => (y - my) ** 2));
    const slope = sxy / sxx;
    return [{ format, host, msBase: my - slope * mx, msPerIteration: slope, r2: sxy ** 2 / (sxx * syy) }];
  });
}

/** Tokens over which an iteration is timed, every other one with a clock around its kernels. */
const PROFILE_PASSES = 40;

export interface DecodeProfile {
  /** Time in each kernel for one decoded token. */
  readonly kernels: readonly KernelTime[];
  /** Time in each kernel for the prompt, at r = 1. */
  readonly promptKernels: readonly KernelTime[];
  readonly iterationMs: number;
  /** Milliseconds of the iteration that its kernels took. */
  readonly iterationKernelMs: number;
}

/**
 * Kernels of one decoded token right behind the prompt, and what an iteration costs beside its kernels.
 * @param format [default q4 with a q8 head, as `fathom convert` makes it]
 * @param kv     [default int8, as it is served]
 */
export async function profileDecode(format: BenchFormat = "q4 q8-head", kv: KvFormat = "int8", iterations = 32): Promise<DecodeProfile> {
  const backend = await benchBackend(format, kv);
  await decodeRun(backend, 4);
  const sequence = backend.openSequence({ capacity: 128, maxIterations: iterations, cache: parseCacheStrategy("full") });
  const step = (tokens: readonly number[]): void => {
    const rows = backend.prelude(tokens.map((token) => ({ sequence, token })));
    for (let t = 0; t < iterations; t++) backend.iterate(rows);
    backend.argmax(rows, rows.slice(-1));
    backend.release(rows);
  };
  step(benchPrompt());
  const plain: number[] = [];
  const inKernels: number[] = [];
  for (let pass = 0; pass <= PROFILE_PASSES; pass++) {
    const rows = backend.prelude([{ sequence, token: 1 }]);
    const [iterationMs, kernelMs]: number[][] = [[], []];
    for (let t = 0; t < iterations; t++)
      if (t % 2 === 0) {
        const before = performance.now();
        backend.iterate(rows);
        iterationMs!.push(performance.now() - before);
      } else kernelMs!.push(profileKernels(backend, () => backend.iterate(rows)).reduce((sum, k) => sum + k.ms, 0));
    backend.release(rows);
    backend.truncate(sequence, sequence.length - 1);
    if (pass === 0) continue; // it warms up
    plain.push(...iterationMs!);
    inKernels.push(...kernelMs!);
  }
  const kernels = profileKernels(backend, () => step([2]));
  const promptKernels = profilePrompt(backend);
  backend.closeSequence(sequence);
  return { kernels, promptKernels, iterationMs: median(plain), iterationKernelMs: median(inKernels) };
}

function profilePrompt(backend: WasmBackend): KernelTime[] {
  const sequence = backend.openSequence({ capacity: 128, maxIterations: 1, cache: parseCacheStrategy("full") });
  const prompt = (): void => {
    const rows = backend.prelude(benchPrompt().map((token) => ({ sequence, token })));
    backend.iterate(rows);
    backend.argmax(rows, rows.slice(-1));
    backend.release(rows);
    backend.truncate(sequence, 0);
  };
  for (let i = 0; i < 5; i++) prompt();
  const kernels = profileKernels(backend, prompt);
  backend.closeSequence(sequence);
  return kernels;
}

export function profileTable({ kernels, promptKernels, iterationMs, iterationKernelMs }: DecodeProfile): string {
  const line = ({ kernel, calls, ms }: KernelTime): string =>
    `${kernel.padEnd(18)} ${`${calls}`.padStart(5)} calls ${ms.toFixed(3).padStart(8)} ms`;
  const lines = ["A decoded token, r = 32:", ...kernels.map(line), "A prompt, r = 1:", ...promptKernels.map(line)];
  const ratio = (iterationMs / iterationKernelMs).toFixed(2);
  return [...lines, `an iteration: ${iterationMs.toFixed(4)} ms, ${ratio} times its kernels' ${iterationKernelMs.toFixed(4)} ms`].join(
    "\n",
  );
}

export function decodeTable(rows: readonly DecodeRow[], fits: readonly LinearFit[]): string {
  const lines = rows.map(
    (r) =>
      `${r.engine}  ${r.format.padEnd(24)} r = ${String(r.iterations).padEnd(3)} ${r.host.padEnd(8)} prefill ${r.prefillTokensPerSecond.toFixed(0).padStart(5)} tokens/s, decode ${r.decodeTokensPerSecond.toFixed(0).padStart(5)} tokens/s`,
  );
  const fitLines = fits.map(
    (f) => `${f.format}, ${f.host}: ${f.msBase.toFixed(3)} ms + ${f.msPerIteration.toFixed(3)} ms an iteration (R2 ${f.r2.toFixed(4)})`,
  );
  return [...lines, ...fitLines].join("\n");
}

/**
 * fathom bench decide: decisions a second and their latency against the number of options and questions, the length of
 * the input and the depth, in Node and in local workerd, beside an encoder of the same size in onnxruntime-web; and one
 * question on the shipped model.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { unstable_startWorker as startWorker } from "wrangler";
import { createNodeWasmBackend } from "../wasm/node.ts";
import { deciderModel, type DecideCase } from "./decide-model.ts";
import { decideRun, type DecideRun, type RunLimits } from "./decide-run.ts";
import { encoderRuns } from "./peers.ts";
import { quantile } from "./timing.ts";

export interface DecideRow extends DecideCase {
  readonly engine: string;
  readonly host: "node" | "workerd";
  readonly runs: number;
  readonly fastestMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Questions answered in a second of the mean run. */
  readonly decisionsPerSecond: number;
  /** Passes of a decision, and memory of the largest in MiB; an encoder passes once a question. */
  readonly passes: number;
  readonly passMiB: number | undefined;
}

export interface DecideBenchOptions extends RunLimits {
  readonly cases: readonly DecideCase[];
  /** Measure inside workerd, too. */
  readonly workerd: boolean;
  /** Measure the encoder, too. */
  readonly peers: boolean;
  readonly onProgress: (done: number, total: number) => void;
}

process.env["WRANGLER_SEND_METRICS"] = "false";
process.env["WRANGLER_SEND_ERROR_REPORTS"] = "false";
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";

/** What Node computes keeps its thread: connections that the Worker closed meanwhile must be seen before the next request. */
const SOCKETS_MS = 20;

const WORKER = fileURLToPath(new URL("workerd/decide.toml", import.meta.url));

/** The encoder's weights: f32, int8, int4. */
const ENCODER_FORMATS = 3;

export interface DecideBench {
  readonly rows: readonly DecideRow[];
  /** One question over a short input, on the shipped model with its own exit rule, in workerd; none without workerd. */
  readonly shipped: readonly ShippedQuestion[];
}

export interface ShippedQuestion {
  readonly model: string;
  /** Options of the choice; 0: it is a predicate. */
  readonly options: number;
  readonly inputTokens: number;
  readonly form: string;
  readonly iterations: number;
  readonly runs: number;
  readonly fastestMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

export async function benchDecide({ cases, workerd, peers, onProgress, ...limits }: DecideBenchOptions): Promise<DecideBench> {
  const model = await deciderModel((config, load) => createNodeWasmBackend(config, load));
  const worker = workerd
    ? await startWorker({ config: WORKER, dev: { logLevel: "error", server: { port: 0 }, inspector: false } })
    : undefined;
  const inWorkerd = async <T>(body: object): Promise<T> => {
    await sleep(SOCKETS_MS);
    const response = await worker!.fetch("http://bench/", { method: "POST", body: JSON.stringify({ ...body, limits }) });
    if (!response.ok) throw new Error(`The bench's Worker answers ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  };
  const read = peers ? encoderCases(cases) : [];
  const total = cases.length * (1 + Number(workerd)) + read.length * ENCODER_FORMATS;
  const rows: DecideRow[] = [];
  const keep = (row: DecideRow): void => {
    rows.push(row);
    onProgress(rows.length, total);
  };
  try {
    for (const sized of cases) {
      keep(rowOf("node", sized, await decideRun(model, sized, limits)));
      if (workerd) keep(rowOf("workerd", sized, await inWorkerd<DecideRun>({ sized })));
    }
    const before = rows.length;
    if (peers) rows.push(...(await measureEncoder(read, limits, (done) => onProgress(before + done, total))));
    const shipped: ShippedQuestion[] = [];
    for (const options of workerd ? SHIPPED_OPTIONS : []) shipped.push(shippedQuestion(await inWorkerd<ShippedRun>({ options })));
    return { rows, shipped };
  } finally {
    await worker?.dispose();
  }
}

/** Options of the questions to the shipped model. */
const SHIPPED_OPTIONS = [0, 10, 150];

interface ShippedRun extends DecideRun {
  readonly model: string;
  readonly options: number;
  readonly inputTokens: number;
  readonly form: string;
}

function shippedQuestion({ model, options, inputTokens, form, iterations, ms }: ShippedRun): ShippedQuestion {
  return { model, options, inputTokens, form, iterations, runs: ms.length, ...latencies(ms) };
}

function latencies(ms: readonly number[]): Pick<DecideRow, "fastestMs" | "p50Ms" | "p95Ms"> {
  return { fastestMs: Math.min(...ms), p50Ms: quantile(ms, 0.5), p95Ms: quantile(ms, 0.95) };
}

/** An encoder has one depth: cases that differ in it alone are one. */
function encoderCases(cases: readonly DecideCase[]): DecideCase[] {
  const flat = cases.map((sized): DecideCase => ({ ...sized, iterations: 1 }));
  return [...new Map(flat.map((sized) => [JSON.stringify(sized), sized])).values()];
}

async function measureEncoder(cases: readonly DecideCase[], limits: RunLimits, onProgress: (done: number) => void): Promise<DecideRow[]> {
  const rows = await encoderRuns(cases, limits, onProgress);
  return rows.map(({ engine, sized, ms }) => ({
    ...rowOf("node", sized, { ms, passes: sized.questions, passBytes: 0, iterations: 1 }),
    engine,
    passMiB: undefined,
  }));
}

function rowOf(host: DecideRow["host"], sized: DecideCase, { ms, passes, passBytes }: DecideRun): DecideRow {
  const mean = ms.reduce((sum, value) => sum + value, 0) / ms.length;
  return {
    engine: "fathom-wasm, q4",
    host,
    ...sized,
    runs: ms.length,
    ...latencies(ms),
    decisionsPerSecond: (1000 * sized.questions) / mean,
    passes,
    passMiB: passBytes / 1048576,
  };
}

export function decideTable({ rows, shipped }: DecideBench): string {
  const times = ({ fastestMs, p50Ms, p95Ms }: Pick<DecideRow, "fastestMs" | "p50Ms" | "p95Ms">): string =>
    `fastest ${fastestMs.toFixed(2).padStart(8)} ms, p50 ${p50Ms.toFixed(2).padStart(8)}, p95 ${p95Ms.toFixed(2).padStart(8)}`;
  const lines = rows.map((row) => {
    const { options, questions, inputTokens, iterations, passMiB } = row;
    const sized = `${`${options}`.padStart(3)} options ${`${questions}`.padStart(3)} questions ${`${inputTokens}`.padStart(3)} tokens r = ${`${iterations}`.padEnd(2)}`;
    const memory = passMiB === undefined ? "" : `, ${passMiB.toFixed(1)} MiB a pass`;
    return `${row.engine.padEnd(28)} ${row.host.padEnd(7)} ${sized} ${times(row)}, ${row.decisionsPerSecond.toFixed(1).padStart(6)} decisions/s (n = ${row.runs}${memory})`;
  });
  const own = shipped.map((question) => {
    const { model, options, form, inputTokens, iterations, runs } = question;
    const asked = options === 0 ? "one predicate" : `a choice of ${options}`;
    return `${model}, workerd: ${asked} (${form}) over ${inputTokens} tokens, ${iterations} iterations: ${times(question)} (n = ${runs})`;
  });
  return [...lines, ...own].join("\n");
}

/**
 * The comparison of bench/peers from here: a process of its own, as its packages are installed apart and some of them do
 * not give their threads back.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FathomError } from "../engine/errors.ts";
import { runChild } from "./child.ts";
import type { DecideCase } from "./decide-model.ts";
import type { RunLimits } from "./decide-run.ts";
import type { DecodeRow } from "./decode.ts";
import type { KernelRow } from "./kernels.ts";

const FOLDER = fileURLToPath(new URL("peers/", import.meta.url));

type OnProgress = (done: number, total: number) => void;

/** Matrix products of other engines. @throws {FathomError} unavailable */
export function peerKernelRows(rounds: number, onProgress?: OnProgress): Promise<KernelRow[]> {
  return run(["--kernels", "--rounds", `${rounds}`], onProgress);
}

/** Measures other engines and Fathom in the same rounds. @throws {FathomError} unavailable */
export function peerDecodeRows(rounds: number, iterations: readonly number[], onProgress?: OnProgress): Promise<DecodeRow[]> {
  return run(["--rounds", `${rounds}`, "--iterations", iterations.join()], onProgress);
}

export interface EncoderRun {
  readonly engine: string;
  readonly sized: DecideCase;
  /** Milliseconds of each run. */
  readonly ms: readonly number[];
}

/** An encoder in onnxruntime-web, one pass a question; needs nothing that a checkout does not have. */
export async function encoderRuns(
  cases: readonly DecideCase[],
  limits: RunLimits,
  onProgress: (done: number) => void,
): Promise<EncoderRun[]> {
  const output = await runChild(`${FOLDER}run-encoder.ts`, [JSON.stringify({ cases, ...limits })], ({ done }) => onProgress(done));
  return rowsIn(output);
}

async function run<Row>(options: readonly string[], onProgress?: OnProgress): Promise<Row[]> {
  if (!existsSync(`${FOLDER}node_modules`))
    throw new FathomError("unavailable", `The peers are not installed. In a checkout: cd bench/peers && npm install.`, "--peers");
  const stdout = await runChild(`${FOLDER}run.ts`, ["--json", ...options], ({ done, total }) => onProgress?.(done, total));
  return rowsIn(stdout);
}

function rowsIn<Row>(stdout: string): Row[] {
  return (JSON.parse(stdout.slice(stdout.lastIndexOf('{"rows"'))) as { rows: Row[] }).rows;
}

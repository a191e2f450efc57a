/**
 * The comparison of bench/peers from here: a process of its own, as its packages are installed apart and some of them do
 * not give their threads back.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FathomError } from "../engine/errors.ts";
import type { DecodeRow } from "./decode.ts";
import type { KernelRow } from "./kernels.ts";

const FOLDER = fileURLToPath(new URL("peers/", import.meta.url));
const LONGEST_OUTPUT_BYTES = 16 * 1048576;

/** Matrix products of other engines. @throws {FathomError} unavailable */
export function peerKernelRows(rounds: number): Promise<KernelRow[]> {
  return run(["--kernels", "--rounds", `${rounds}`]);
}

/** Other engines and Fathom in the same rounds. @throws {FathomError} unavailable */
export function peerDecodeRows(rounds: number, iterations: readonly number[]): Promise<DecodeRow[]> {
  return run(["--rounds", `${rounds}`, "--iterations", iterations.join()]);
}

async function run<Row>(options: readonly string[]): Promise<Row[]> {
  if (!existsSync(`${FOLDER}node_modules`))
    throw new FathomError("unavailable", `The peers are not installed. In a checkout: cd bench/peers && npm install.`, "--peers");
  const { stdout } = await promisify(execFile)(process.execPath, [`${FOLDER}run.ts`, "--json", ...options], {
    maxBuffer: LONGEST_OUTPUT_BYTES,
  });
  const json = stdout.slice(stdout.lastIndexOf('{"rows"'));
  return (JSON.parse(json) as { rows: Row[] }).rows;
}

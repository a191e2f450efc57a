/**
 * The comparison of bench/peers from here: a process of its own, as its packages are installed apart and some of them do
 * not give their threads back.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FathomError } from "../engine/errors.ts";
import { runChild } from "./child.ts";
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

async function run<Row>(options: readonly string[], onProgress?: OnProgress): Promise<Row[]> {
  if (!existsSync(`${FOLDER}node_modules`))
    throw new FathomError("unavailable", `The peers are not installed. In a checkout: cd bench/peers && npm install.`, "--peers");
  const stdout = await runChild(`${FOLDER}run.ts`, ["--json", ...options], ({ done, total }) => onProgress?.(done, total));
  const json = stdout.slice(stdout.lastIndexOf('{"rows"'));
  return (JSON.parse(json) as { rows: Row[] }).rows;
}

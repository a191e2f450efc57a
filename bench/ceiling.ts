/**
 * The ceiling loop (bench/assembly/ceiling.ts): register-only relaxed dots, the most multiply-adds a second that V8
 * gets out of this machine. What a kernel reaches is told as a share of it.
 */
import { readFile } from "node:fs/promises";
import { timeJobs, type Job } from "./timing.ts";

const TURNS = 2000;
const MACS_A_TURN = 768;
/** Address of the bytes that the loop reads: anywhere in the module's page, behind its own data. */
const SCRATCH = 4096;

/** The loop as a job to time beside others. Needs relaxed SIMD. */
export async function ceilingJob(): Promise<Job> {
  const bytes = await readFile(new URL("build/ceiling.wasm", import.meta.url));
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } });
  const ceiling = instance.exports["ceiling"] as (turns: number, at: number) => void;
  return { name: "ceiling", run: () => ceiling(TURNS, SCRATCH) };
}

/** GMAC/s of a loop that took so many seconds. */
export function ceilingOf(seconds: number): number {
  return (TURNS * MACS_A_TURN) / seconds / 1e9;
}

/** The ceiling loop alone, GMAC/s. */
export async function ceilingGmacs(): Promise<number> {
  const ceiling = await ceilingJob();
  return ceilingOf(timeJobs([ceiling]).get(ceiling.name)!);
}

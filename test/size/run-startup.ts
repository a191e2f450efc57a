/**
 * npm run check:startup: how long the Worker takes to start in workerd, by wrangler's own profile of it, several times; ends
 * with 1 where the median is above the limit. Measures wall time of this machine: run it on a quiet one.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../imports.ts";

const LIMIT_MS = 100;
const RUNS = 5;
const QUIET = { WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", NO_COLOR: "1", FORCE_COLOR: "0", CI: "1" };
const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string } }[];
  readonly samples: readonly number[];
  /** Microseconds from one sample to the next. */
  readonly timeDeltas: readonly number[];
}

/** Milliseconds in which the profiled thread was not idle. */
function busyMs({ nodes, samples, timeDeltas }: Profile): number {
  const idle = new Set(nodes.filter(({ callFrame }) => callFrame.functionName === "(idle)").map(({ id }) => id));
  return samples.reduce((sum, id, i) => sum + (idle.has(id) ? 0 : timeDeltas[i]!), 0) / 1000;
}

const folder = mkdtempSync(join(tmpdir(), "fathom-startup-"));
try {
  const times = Array.from({ length: RUNS }, (_, run) => {
    const file = join(folder, `${run}.cpuprofile`);
    execFileSync(process.execPath, [wrangler, "check", "startup", "--outfile", file], { cwd: ROOT, env: { ...process.env, ...QUIET } });
    return busyMs(JSON.parse(readFileSync(file, "utf8")) as Profile);
  }).toSorted((a, b) => a - b);
  const median = times[Math.floor(RUNS / 2)]!;
  console.log(
    `The Worker starts in ${median.toFixed(1)} ms (median of ${RUNS}: ${times.map((ms) => ms.toFixed(1)).join(", ")}), of ${LIMIT_MS}.`,
  );
  if (!(median < LIMIT_MS)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

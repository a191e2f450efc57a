/**
 * What bench/webgpu.ts measured, as a page of docs/.
 */
import { NEW_TOKENS, PROMPT_TOKENS } from "./model.ts";
import type { GpuBench, GpuDecodeRow } from "./webgpu.ts";

/** Markdown: the device by itself, then each model by way and iterations. */
export function gpuReport({ date, device, cpu, dispatch, matVec, rows }: GpuBench, command: string): string {
  const lines = [`Made by \`${command}\` on ${date}: ${device}; Wasm on one thread of ${cpu}.`, ""];
  if (dispatch !== undefined) {
    const { recordMicroseconds, runMicroseconds, submitMicroseconds } = dispatch;
    lines.push(
      `A dispatch takes ${recordMicroseconds.toFixed(1)} µs to record and ${runMicroseconds.toFixed(1)} µs to run; a submit and its answer ${submitMicroseconds.toFixed(0)} µs.`,
      "",
    );
  }
  for (const [model, own] of Map.groupBy(rows, (row) => `${row.model}, ${row.format}`)) lines.push(...modelTable(model, own), "");
  if (matVec.length > 0)
    lines.push(
      "One row times a matrix; beside it a loop that only reads the same bytes:",
      "",
      "| kernel | outputs x inputs | weights from | threads | µs | GB/s | read, GB/s |",
      "|---|---|---|---|---|---|---|",
      ...matVec.map(
        (m) =>
          `| ${m.kernel} | ${m.shape} | ${m.from} | ${m.threads} | ${m.microseconds.toFixed(1)} | ${m.gbPerSecond.toFixed(0)} | ${m.readGbPerSecond.toFixed(0)} |`,
      ),
      "",
    );
  return lines.join("\n");
}

function modelTable(model: string, rows: readonly GpuDecodeRow[]): string[] {
  const depths = [...new Set(rows.map((row) => row.iterations))];
  const ways = [...Map.groupBy(rows, wayOf)].map(([way, own]) => ({ way, own }));
  const line = (what: string, own: readonly GpuDecodeRow[], speed: (row: GpuDecodeRow) => number): string =>
    `| ${what} | ${depths.map((r) => speed(own.find((row) => row.iterations === r)!).toFixed(0)).join(" | ")} |`;
  const isPrompt = (way: string): boolean => way === "WebGPU, device" || way.startsWith("Wasm"); // all ways begin alike
  return [
    `${model}: tokens/s by iterations, after a prompt of ${PROMPT_TOKENS} tokens, ${NEW_TOKENS} made.`,
    "",
    `| | ${depths.map((r) => `r = ${r}`).join(" | ")} |`,
    `|${"---|".repeat(depths.length + 1)}`,
    ...ways.filter(({ way }) => isPrompt(way)).map(({ way, own }) => line(`prompt, ${way}`, own, (row) => row.prefillTokensPerSecond)),
    ...ways.map(({ way, own }) => line(`decode, ${way}`, own, (row) => row.decodeTokensPerSecond)),
  ];
}

function wayOf({ engine, way }: GpuDecodeRow): string {
  return engine === "fathom-wasm" ? "Wasm" : `WebGPU, ${way}`;
}

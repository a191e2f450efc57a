/** The header Server-Timing of an answer: predicted milliseconds of its prompt and of its further tokens. */
import type { CostReport } from "../engine/budget/report.ts";

/** The header Server-Timing, durations in milliseconds. */
export function serverTiming({ prefillMs, decodeMs }: Pick<CostReport, "prefillMs" | "decodeMs">): string {
  return `prefill;dur=${round(prefillMs)};desc="estimated", decode;dur=${round(decodeMs)};desc="estimated"`;
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/**
 * What a request cost, for its caller and for the operator: time and money of the work that was done, Server-Timing,
 * and a data point for Workers Analytics Engine. Predicted figures say so. Not here: the shapes of OpenAI's API.
 */
import type { Calibration } from "./calibration.ts";
import type { Timer } from "./clock.ts";
import type { Spending } from "./controller.ts";
import type { Grant } from "./grant.ts";
import { usdOf } from "./price.ts";

export interface CostReport {
  readonly latencyMs: number;
  /** Whether the clock of the host or the cost model said so: production clocks stand still during work. */
  readonly latencySource: "clock" | "estimated";
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly costUsd: number;
}

/** Time at the usual rate (p50), other requests' work in between included; money at the careful one (p95). */
export function costOf(spending: Spending, timer: Timer, grant: Grant, { msPerUnit, overheadMs }: Calibration): CostReport {
  const usual = msPerUnit.p50 / grant.msPerUnit;
  const estimatedMs = timer.predictedMs * usual + overheadMs;
  const { clockedMs } = timer;
  const prefillMs = spending.promptUnits * msPerUnit.p50;
  return {
    latencyMs: Math.max(estimatedMs, clockedMs),
    latencySource: clockedMs > estimatedMs ? "clock" : "estimated",
    prefillMs,
    decodeMs: Math.max(0, spending.units * msPerUnit.p50 - prefillMs),
    costUsd: usdOf(grant.price, spending.units * msPerUnit.p95 + overheadMs),
  };
}

/** The header Server-Timing, durations in milliseconds. */
export function serverTiming({ prefillMs, decodeMs }: Pick<CostReport, "prefillMs" | "decodeMs">): string {
  return `prefill;dur=${round(prefillMs)};desc="estimated", decode;dur=${round(decodeMs)};desc="estimated"`;
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** What Analytics Engine's nameless columns hold, by OpenTelemetry's gen_ai names where it has one. */
export const DATA_POINT = {
  index1: "gen_ai.request.model",
  blobs: ["gen_ai.operation.name", "gen_ai.response.finish_reason", "fathom.limited_by", "fathom.on_exhausted", "fathom.backend"],
  doubles: [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.server.request.duration_ms",
    "fathom.work_units",
    "fathom.granted_units",
    "fathom.iterations",
    "fathom.row_iterations",
    "fathom.cost_usd",
  ],
} as const;

export interface DataPointInput {
  readonly model: string;
  readonly operation: "chat" | "text_completion";
  readonly finish: string;
  readonly onExhausted: string;
  readonly backend: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Infinity: not limited. */
  readonly grantedUnits: number;
  readonly spending: Spending;
  readonly cost: CostReport;
}

/** One point of a dataset, columns as in DATA_POINT; an unlimited grant is -1. */
export function dataPoint(p: DataPointInput): { indexes: [string]; blobs: string[]; doubles: number[] } {
  const { spending, cost } = p;
  return {
    indexes: [p.model],
    blobs: [p.operation, p.finish, spending.limitedBy ?? "none", p.onExhausted, p.backend],
    doubles: [
      p.promptTokens,
      p.completionTokens,
      cost.latencyMs,
      spending.units,
      Number.isFinite(p.grantedUnits) ? p.grantedUnits : -1,
      spending.iterations,
      spending.rowIterations,
      cost.costUsd,
    ],
  };
}

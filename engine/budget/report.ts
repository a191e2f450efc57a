/**
 * What a request cost, for its caller and for the operator: time and money of the work that was done. Predicted figures
 * say so. Not here: headers, data points, the shapes of OpenAI's API.
 */
import type { Calibration } from "./calibration.ts";
import type { Timer } from "./clock.ts";
import type { Spending } from "./controller.ts";
import type { Grant } from "./grant.ts";
import { usdOf } from "./price.ts";

/** What a request took, in time and money. */
export interface CostReport {
  readonly latencyMs: number;
  /** Whether the clock of the host or the cost model said so: production clocks stand still during work. */
  readonly latencySource: "clock" | "estimated";
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly costUsd: number;
}

/**
 * What a request took: time at the usual rate (p50), other requests' work in between included, in milliseconds; money at
 * the careful one (p95), in US dollars.
 */
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
    costUsd: usdOf(grant.price, spending.units * msPerUnit.p95 + grant.overheadMs),
  };
}

/**
 * A plan for a load on Workers: what a request costs, how many isolates the load needs, what a month costs, and where it
 * stops fitting. Pure; the command of the same name reads options and prints.
 */
import type { ModelCard } from "../../engine/model/card.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import { ISOLATE_LIMIT_BYTES } from "../../wasm/limits.ts";
import { capacityOf, WITHIN } from "./capacity.ts";
import { demandOf, largestWithin, type RequestShape } from "./demand.ts";
import type { Footprint } from "./measure.ts";
import { FREE, monthlyBill, PAID, type Bill, type WorkersPlan } from "./platform.ts";

export interface PlanInput extends RequestShape {
  readonly card: ModelCard;
  readonly config: ModelConfig;
  readonly footprint: Footprint;
  /** Requests a second, on average. */
  readonly rps: number;
  /** Requests a second at the busiest time, which the isolates are counted for. */
  readonly peakRps: number;
  readonly latencyMs: number;
  readonly cpuFactor: number;
}

export interface LoadPlan {
  readonly model: string;
  readonly request: RequestShape & {
    readonly usualMs: number;
    readonly slowMs: number;
    /** Host and day of the calibration; undefined where the card has none, and a careful rate is assumed. */
    readonly measured: { readonly host: string; readonly on: string } | undefined;
  };
  readonly isolates: {
    /** Isolates for the peak; undefined where not even a request alone is in time. */
    readonly needed: number | undefined;
    readonly rpsPerIsolate: number;
    readonly busy: number;
    /** Requests that an isolate's memory holds at once. */
    readonly requestsAtOnce: number;
    readonly loadCpuMs: number;
  };
  readonly month: Bill;
  readonly fits: {
    /** Deepest core iterations a token with which a request alone is in time; 0: none. */
    readonly iterations: number;
    /** Longest prompt, in tokens, with which a hard request alone is in time; 0: none. */
    readonly promptTokens: number;
    /** Most requests a second of one isolate. */
    readonly rpsOfOneIsolate: number;
  };
  /** What stands against it, each a sentence; empty: it fits. */
  readonly objections: readonly string[];
  /** Why the free plan does not do, each a sentence; empty: it does. */
  readonly notFree: readonly string[];
}

export function planLoad(input: PlanInput): LoadPlan {
  const { card, config, footprint, latencyMs, rps, peakRps, cpuFactor } = input;
  const demand = demandOf(card, config, input, "wasm", cpuFactor);
  const { usualMs, slowMs, calibration, slowMsOf } = demand;
  const capacity = capacityOf(usualMs, slowMs, latencyMs);
  const loadCpuMs = cpuFactor * footprint.loadCpuMs;
  const requestsAtOnce = Math.max(0, Math.floor((ISOLATE_LIMIT_BYTES - footprint.idleBytes) / footprint.requestBytes));
  const longest = config.contextLength - input.completionTokens + 1;
  return {
    model: card.id,
    request: {
      promptTokens: input.promptTokens,
      completionTokens: input.completionTokens,
      iterations: input.iterations,
      hardIterations: input.hardIterations,
      usualMs,
      slowMs,
      measured: calibration.samples === 0 ? undefined : { host: calibration.host ?? "unnamed host", on: calibration.measuredAt },
    },
    isolates: {
      needed: capacity.rpsPerIsolate === 0 ? undefined : Math.max(1, Math.ceil(peakRps / capacity.rpsPerIsolate)),
      rpsPerIsolate: capacity.rpsPerIsolate,
      busy: capacity.busy,
      requestsAtOnce,
      loadCpuMs,
    },
    month: monthlyBill(rps, usualMs),
    fits: {
      iterations: largestWithin(card.maxIterations, latencyMs, (hardIterations) => slowMsOf({ ...input, hardIterations })),
      promptTokens: largestWithin(longest, latencyMs, (promptTokens) => slowMsOf({ ...input, promptTokens })),
      rpsOfOneIsolate: capacity.rpsPerIsolate,
    },
    objections: objections({ slowMs, latencyMs, requestsAtOnce, idleBytes: footprint.idleBytes, loadCpuMs, plan: PAID }),
    notFree: notFree(rps, slowMs, loadCpuMs),
  };
}

interface Checked {
  readonly slowMs: number;
  readonly latencyMs: number;
  readonly requestsAtOnce: number;
  readonly idleBytes: number;
  readonly loadCpuMs: number;
  readonly plan: WorkersPlan;
}

function objections({ slowMs, latencyMs, requestsAtOnce, idleBytes, loadCpuMs, plan }: Checked): string[] {
  const found: string[] = [];
  if (slowMs > latencyMs)
    found.push(
      `A hard request alone takes ${show(slowMs)} ms, more than ${show(latencyMs)}: think less, shorten the prompt, or allow more time.`,
    );
  if (idleBytes > ISOLATE_LIMIT_BYTES)
    found.push(`The weights take ${mib(idleBytes)} MiB, more than the ${mib(ISOLATE_LIMIT_BYTES)} that an isolate has for them.`);
  else if (requestsAtOnce === 0) found.push("Beside the weights an isolate has no memory left for a request of this length.");
  if (slowMs > plan.mostCpuMs) found.push(`A hard request takes ${show(slowMs)} ms of CPU, more than any plan allows.`);
  if (loadCpuMs > plan.mostCpuMs) found.push(`Loading takes ${show(loadCpuMs)} ms of CPU, more than any plan allows a request.`);
  return found;
}

function notFree(rps: number, slowMs: number, loadCpuMs: number): string[] {
  const perDay = rps * 86_400;
  const found: string[] = [];
  if (slowMs > FREE.mostCpuMs) found.push(`A hard request takes ${show(slowMs)} ms of CPU; the free plan allows ${FREE.mostCpuMs}.`);
  if (loadCpuMs > FREE.mostCpuMs)
    found.push(
      `Loading the model, at an isolate's first request, takes ${show(loadCpuMs)} ms of CPU; the free plan allows ${FREE.mostCpuMs}.`,
    );
  if (perDay > FREE.requestsPerDay) found.push(`${show(perDay)} requests a day are more than the free plan's ${FREE.requestsPerDay}.`);
  return found;
}

/** The plan as lines for people. */
export function planLines(plan: LoadPlan, { rps, peakRps, latencyMs }: Pick<PlanInput, "rps" | "peakRps" | "latencyMs">): string[] {
  const { request, isolates, month, fits, objections: against, notFree: reasons } = plan;
  const rate =
    request.measured === undefined
      ? "no calibration in the card: a careful rate is assumed"
      : `measured on ${request.measured.host}, ${request.measured.on}`;
  const share = `${show(100 * WITHIN)} %`;
  return [
    `${plan.model}: ${show(rps)} requests a second${peakRps > rps ? ` (${show(peakRps)} at peak)` : ""} within ${show(latencyMs)} ms`,
    `  a request   ${request.promptTokens} tokens in, ${request.completionTokens} out; ${show(request.iterations)} iterations a row, ${show(request.hardIterations)} where it is hard`,
    `  CPU         ${show(request.usualMs)} ms, ${show(request.slowMs)} ms a hard one at the p95 rate (${rate})`,
    isolates.needed === undefined
      ? "  isolates    none is in time"
      : `  isolates    ${isolates.needed}, each up to ${show(isolates.rpsPerIsolate)} requests a second (${show(100 * isolates.busy)} % busy) with ${share} in time`,
    `  memory      up to ${isolates.requestsAtOnce} such requests at once in an isolate`,
    `  load        ${show(isolates.loadCpuMs)} ms of CPU at an isolate's first request`,
    `  a month     $${month.usd.toFixed(2)}: ${show(month.requests / 1e6)} million requests, ${show(month.cpuMs / 1e6)} million CPU-ms ($${month.usdPerMillion.toFixed(2)} a million requests, beyond what is included)`,
    `  fits up to  ${fits.iterations} iterations a token, or prompts of ${fits.promptTokens} tokens, for a request alone`,
    `  free plan   ${reasons.length === 0 ? "does" : `does not do. ${reasons.join(" ")}`}`,
    ...against.map((line) => `  AGAINST IT  ${line}`),
  ];
}

/** Three significant digits, and no exponent. */
function show(value: number): string {
  return value >= 100 ? `${Math.round(value)}` : `${Number(value.toPrecision(3))}`;
}

function mib(bytes: number): string {
  return show(bytes / 2 ** 20);
}

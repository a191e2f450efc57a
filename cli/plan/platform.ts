/**
 * Cloudflare Workers as its documents describe it: the two plans with their limits and list prices, as of 2026-11-27
 * (developers.cloudflare.com/workers/platform/limits and /pricing). What `fathom plan` and `fathom deploy` reckon with.
 */
import { WORKERS } from "../../engine/budget/price.ts";

const MIB = 2 ** 20;

export interface WorkersPlan {
  readonly name: "free" | "paid";
  /** Most CPU time of a request, in milliseconds; of the paid plan what `limits.cpu_ms` may say. */
  readonly mostCpuMs: number;
  /** Most requests a day. */
  readonly requestsPerDay: number;
  /** Most bytes of a Worker's code, compressed. */
  readonly bundleBytes: number;
  /** Most files among the static assets. */
  readonly assetFiles: number;
  /** US dollars a month before any use. */
  readonly usdPerMonth: number;
  /** Requests a month that `usdPerMonth` pays for. */
  readonly includedRequests: number;
  /** CPU milliseconds a month that `usdPerMonth` pays for. */
  readonly includedCpuMs: number;
}

export const FREE: WorkersPlan = {
  name: "free",
  mostCpuMs: 10,
  requestsPerDay: 100_000,
  bundleBytes: 3 * MIB,
  assetFiles: 20_000,
  usdPerMonth: 0,
  includedRequests: Infinity,
  includedCpuMs: Infinity,
};

export const PAID: WorkersPlan = {
  name: "paid",
  mostCpuMs: 300_000,
  requestsPerDay: Infinity,
  bundleBytes: 10 * MIB,
  assetFiles: 100_000,
  usdPerMonth: 5,
  includedRequests: 10e6,
  includedCpuMs: 30e6,
};

/** CPU time of a request where wrangler's configuration has no `limits.cpu_ms`, in milliseconds; paid plan. */
export const DEFAULT_CPU_MS = 30_000;
/** Most bytes of one static asset. */
export const ASSET_BYTES = 25 * MIB;

const SECONDS_PER_MONTH = (365.25 / 12) * 86_400;

export interface Bill {
  readonly requests: number;
  readonly cpuMs: number;
  /** US dollars a month, the plan's base included. */
  readonly usd: number;
  /** US dollars a million requests, base and included use left out. */
  readonly usdPerMillion: number;
}

/** What a steady load costs a month at list prices. @param cpuMs mean CPU time of a request, in milliseconds */
export function monthlyBill(rps: number, cpuMs: number, plan: WorkersPlan = PAID): Bill {
  const requests = rps * SECONDS_PER_MONTH;
  const spentCpuMs = requests * cpuMs;
  const beyond = (used: number, included: number): number => Math.max(0, used - included);
  const usd =
    plan.usdPerMonth +
    beyond(requests, plan.includedRequests) * WORKERS.usdPerRequest +
    beyond(spentCpuMs, plan.includedCpuMs) * WORKERS.usdPerMs;
  return { requests, cpuMs: spentCpuMs, usd, usdPerMillion: 1e6 * (WORKERS.usdPerRequest + cpuMs * WORKERS.usdPerMs) };
}

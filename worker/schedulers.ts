/**
 * What the requests of an isolate share for each loaded model, as long as the model lives: one scheduler for the core,
 * one sharedBudget for the budgets, one cache of prompts' beginnings.
 */
import type { Backend } from "../engine/port/backend.ts";
import { calibrationFor } from "../engine/budget/calibration.ts";
import type { Clock } from "../engine/budget/clock.ts";
import { CpuLimit } from "../engine/budget/cpu-limit.ts";
import { Inflow } from "../engine/budget/inflow.ts";
import { sufficientIterations } from "../engine/budget/need.ts";
import { SharedBudget } from "../engine/budget/shared-budget.ts";
import { usableExits } from "../engine/model/card.ts";
import type { Model } from "../engine/port/model.ts";
import type { DeploymentLimits } from "./budget.ts";
import { ApiError } from "./errors.ts";
import type { LoadState } from "./loading.ts";
import { PrefixCache } from "../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../engine/schedule/scheduler.ts";

export interface Shared {
  readonly scheduler: Scheduler;
  readonly sharedBudget: SharedBudget;
  /** Beginnings of prompts that requests leave to later ones. */
  readonly prefixes: PrefixCache;
}

/** Rows of one core call; the sharedBudget reckons with others' rows in it. */
const WIDTH = 64;

const shared = new WeakMap<Backend, Map<Clock, Shared>>();

/** @param clock the host's; models served under several clocks are shared under each */
export function sharedBy({ backend, card, config }: Model, clock: Clock): Shared {
  const byClock = shared.get(backend) ?? new Map<Clock, Shared>();
  shared.set(backend, byClock);
  const known = byClock.get(clock);
  if (known !== undefined) return known;
  const { cpuSignal } = backend;
  const sharedBudget = new SharedBudget({
    shape: config,
    calibration: calibrationFor(backend.name, card.calibration),
    clock,
    inflow: inflowOf(clock),
    measuredExits: usableExits(card, config, backend.pressure !== undefined),
    sufficientIterations: sufficientIterations(card.quality, card.iterations),
    width: WIDTH,
    ...(cpuSignal && { cpuLimit: new CpuLimit(cpuSignal) }),
  });
  const [first] = byClock.values();
  const scheduler = first?.scheduler ?? schedulerFor(backend, clock, sharedBudget);
  const made: Shared = { scheduler, sharedBudget, prefixes: first?.prefixes ?? prefixesOf(scheduler) };
  byClock.set(clock, made);
  return made;
}

/** What makes room beyond a backend's own, where it shares its memory with others. */
const beyond = new WeakMap<Backend, () => boolean>();

/** @param makeRoom takes another model out of a memory that the backend shares, and says whether one went */
export function reclaimBeyond(backend: Backend, makeRoom: () => boolean): void {
  beyond.set(backend, makeRoom);
}

/** A cache that gives way before a request is refused; then other models do, where they share the memory. */
function prefixesOf(scheduler: Scheduler): PrefixCache {
  const prefixes = new PrefixCache(scheduler);
  const { backend, reclaim } = scheduler;
  scheduler.reclaim = (bytes) => reclaim!(bytes) || (beyond.get(backend)?.() ?? false);
  return prefixes;
}

/** Drops what a loaded model keeps for later prompts and nobody uses now. @returns whether there was any */
export function dropPrefixes(state: LoadState): boolean {
  if (state.status !== "ready") return false;
  const [first] = shared.get(state.model.backend)?.values() ?? [];
  const before = first?.prefixes.usedBytes ?? 0;
  first?.prefixes.clear();
  return before > (first?.prefixes.usedBytes ?? 0);
}

/** Calls of one clock's requests are measured by it; those under another clock share them. */
function schedulerFor(backend: Backend, clock: Clock, { rowCost, admission, pace }: SharedBudget): Scheduler {
  const inflow = inflowOf(clock);
  return new Scheduler(backend, {
    width: WIDTH,
    cost: rowCost,
    slowdown: () => pace.expectedSlowdown,
    slackMs: () => admission.slackMs,
    newcomers: () => inflow.steps,
    closed: (sinceMs) => inflow.closed(sinceMs, admission.slackMs),
    meter: pace,
    now: () => clock.now(),
  });
}

/** @throws {ApiError} 503 overloaded, while as many requests as the deployment allows are served or wait */
export function refuseCrowded({ admission }: SharedBudget, { maxConcurrent }: Pick<DeploymentLimits, "maxConcurrent">): void {
  if (admission.taken < maxConcurrent) return;
  throw new ApiError(503, "overloaded", `This server answers ${admission.taken} requests already; try again later.`);
}

const inflows = new WeakMap<Clock, Inflow>();

/** Requests that come to an isolate, by the clock that they are served under. */
export function inflowOf(clock: Clock): Inflow {
  const inflow = inflows.get(clock) ?? new Inflow(clock);
  inflows.set(clock, inflow);
  return inflow;
}

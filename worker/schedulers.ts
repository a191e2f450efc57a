/**
 * What the requests of an isolate share for each loaded model, as long as the model lives: one scheduler for the core,
 * one sharedBudget for the budgets, one cache of prompts' beginnings.
 */
import type { Backend } from "../engine/port/backend.ts";
import { calibrationFor } from "../engine/budget/calibration.ts";
import type { Clock } from "../engine/budget/clock.ts";
import { CpuLimit } from "../engine/budget/cpu-limit.ts";
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
function schedulerFor(backend: Backend, clock: Clock, { rowCost, admission, pace, inflow }: SharedBudget): Scheduler {
  return new Scheduler(backend, {
    width: WIDTH,
    cost: rowCost,
    slowdown: () => pace.expectedSlowdown,
    slackMs: () => admission.slackMs,
    newcomers: () => inflow.count,
    meter: pace,
    now: () => clock.now(),
  });
}

/** When the turn of the host that goes on now let its first request in, by its clock. */
const turns = new WeakMap<Clock, number>();

/**
 * When a request came at the latest whose handler began at a reading of the clock: while the thread computed it may have
 * waited, or while the handlers before it in the same turn of the host began, and that is its time, too. A clock that
 * stands still meanwhile does not say for how long: a stretch of calls.
 * @param breathe ends the host's turn
 */
export function arrivalOf(handledMs: number, clock: Clock, { scheduler, sharedBudget }: Shared, breathe: () => Promise<void>): number {
  const { closedSinceMs, quantumMs } = scheduler;
  if (clock.moves === true) return Math.min(handledMs, closedSinceMs ?? handledMs, turnSince(clock, sharedBudget, breathe));
  return closedSinceMs === undefined ? handledMs : handledMs - quantumMs;
}

/** What requests take of a turn in which nothing was computed is learned at its end. */
function turnSince(clock: Clock, { inflow, meter }: SharedBudget, breathe: () => Promise<void>): number {
  const known = turns.get(clock);
  if (known !== undefined) return known;
  const [sinceMs, before, computed] = [clock.now(), inflow.count, meter.ms];
  turns.set(clock, sinceMs);
  const end = (): void => {
    turns.delete(clock);
    if (meter.ms === computed) inflow.took(clock.now() - sinceMs, inflow.count - before);
  };
  void breathe().then(end, end);
  return sinceMs;
}

/** @throws {ApiError} 503 overloaded, while as many requests as the deployment allows are served or wait */
export function refuseCrowded({ admission }: SharedBudget, { maxConcurrent }: Pick<DeploymentLimits, "maxConcurrent">): void {
  if (admission.taken < maxConcurrent) return;
  throw new ApiError(503, "overloaded", `This server answers ${admission.taken} requests already; try again later.`);
}

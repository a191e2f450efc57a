/**
 * What the requests of an isolate share for each loaded model, as long as the model lives: one scheduler for the core,
 * one sharedBudget for the budgets.
 */
import type { Backend } from "../engine/port/backend.ts";
import { calibrationFor } from "../engine/budget/calibration.ts";
import type { Clock } from "../engine/budget/clock.ts";
import { CpuLimit } from "../engine/budget/cpu-limit.ts";
import { SharedBudget } from "../engine/budget/shared-budget.ts";
import { usableExits } from "../engine/model/card.ts";
import type { Model } from "../engine/port/model.ts";
import { Scheduler } from "../engine/schedule/scheduler.ts";

export interface Shared {
  readonly scheduler: Scheduler;
  readonly sharedBudget: SharedBudget;
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
  const [first] = byClock.values();
  const made: Shared = {
    scheduler: first?.scheduler ?? new Scheduler(backend, { width: WIDTH }),
    sharedBudget: new SharedBudget({
      shape: config,
      calibration: calibrationFor(backend.name, card.calibration),
      clock,
      measuredExits: usableExits(card, config, backend.pressure !== undefined),
      width: WIDTH,
      ...(cpuSignal && { cpuLimit: new CpuLimit(cpuSignal) }),
    }),
  };
  byClock.set(clock, made);
  return made;
}

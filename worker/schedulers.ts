/**
 * One scheduler a loaded model, for as long as the model lives: requests of an isolate share the core through it.
 */
import type { Backend } from "../engine/backend.ts";
import type { Model } from "../engine/model/model.ts";
import { Scheduler, type LaneOptions } from "../engine/schedule/scheduler.ts";

const schedulers = new WeakMap<Backend, Scheduler>();

export function schedulerOf(model: Model): Scheduler {
  const known = schedulers.get(model.backend);
  if (known !== undefined) return known;
  const scheduler = new Scheduler(model.backend);
  schedulers.set(model.backend, scheduler);
  return scheduler;
}

/** The model as one request sees it: its calls go through the scheduler. */
export function sharedModel(model: Model, lane: LaneOptions): Model {
  return { ...model, backend: schedulerOf(model).lane(lane) };
}

/**
 * The depth scheduler: lanes that look like backends, over one that is shared.
 */
export type { CallCost } from "./job.ts";
export type { CallMeter, LaneOptions, SchedulerOptions } from "./options.ts";
export { Scheduler } from "./scheduler.ts";

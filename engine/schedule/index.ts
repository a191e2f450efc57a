/**
 * The depth scheduler: lanes that look like backends, over one that is shared.
 */
export { Scheduler, type LaneOptions, type SchedulerOptions } from "./scheduler.ts";

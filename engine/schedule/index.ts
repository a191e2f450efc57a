/**
 * The depth scheduler: lanes that look like backends, over one that is shared.
 */
export type { CallCost } from "./job.ts";
export type { SharingBackend } from "./lane.ts";
export type { CallMeter, LaneOptions, SchedulerOptions } from "./options.ts";
export { PrefixCache, type KeptCoda, type PrefixHold, type PrefixTerms } from "./prefix-cache.ts";
export { Scheduler } from "./scheduler.ts";

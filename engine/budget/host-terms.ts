/**
 * What a host tells the controller of a request about its surroundings: the clock, the other requests, the platform's
 * limits. All of it may be left out, and the request is then alone, with work as its only clock.
 */
import type { Reservation } from "./admission.ts";
import type { Timer } from "./clock.ts";
import type { Grant } from "./grant.ts";

/** Options of a controller that the host supplies. */
export interface HostTerms {
  /** What the request may spend. */
  readonly grant: Grant;
  /** Time since arrival. [default work is the only clock] */
  readonly timer?: Timer;
  /** A place among the requests of this isolate; given back by `report` and `abandon`. [default alone] */
  readonly reservation?: Reservation;
  /** How much longer than predicted work takes on this host now. [default as predicted] */
  readonly slowdown?: () => number;
  /** What an answer takes from its last iteration on, beyond the work that is left, in milliseconds. [default nothing] */
  readonly endingMs?: () => number;
  /** Called at the end with what this one has taken. [default nobody] */
  readonly onEnded?: (excessMs: number) => void;
  /** Called with what every piece of work took, in predicted milliseconds. [default nobody] */
  readonly onWork?: (ms: number) => void;
  /** Whether the platform's CPU limit is near. [default never] */
  readonly isCpuLimitNear?: () => boolean;
}

/**
 * Failover's public surface: a backend that goes on as another one when its first is gone.
 */
export { FailoverBackend, withFallback } from "./backend.ts";
export type { Watchdog } from "./watchdog.ts";

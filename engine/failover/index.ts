/**
 * Failover's public surface: a backend that goes on as another one when its first is gone.
 */
export { FailoverBackend } from "./backend.ts";
export { withFallback } from "./fallback.ts";
export type { Watchdog } from "./watchdog.ts";

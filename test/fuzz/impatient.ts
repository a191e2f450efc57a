/**
 * Makes this process's timers short and its error log silent while a fuzzer runs: functions that never return are waited
 * for 10 s in truth, and failures that are wanted would fill the log.
 */

const LONGEST_MS = 5;

/** @returns what puts everything back */
export function impatient(): () => void {
  const { setTimeout } = globalThis;
  const { error } = console;
  globalThis.setTimeout = ((callback: () => void, ms = 0, ...args: []) =>
    setTimeout(callback, Math.min(ms, LONGEST_MS), ...args)) as typeof globalThis.setTimeout;
  console.error = () => undefined;
  return () => {
    globalThis.setTimeout = setTimeout;
    console.error = error;
  };
}

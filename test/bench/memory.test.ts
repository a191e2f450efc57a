/**
 * The memory bench asks what it says of a real server and reads that server's own process.
 */
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { benchMemory } from "../../bench/memory.ts";

it.runIf(existsSync("/proc/self/status"))("measures a server on Node under bursts, and leaves nothing of it", async () => {
  let answers = 0;
  const row = await benchMemory("node", { requests: 16, atOnce: 8, bursts: 2, idleMs: 0 }, () => answers++);
  expect(answers).toBe(32);
  expect(row.statuses).toEqual({ 200: 25, 400: 8 }); // of each eight kinds two are too long for the context; one more goes first
  expect(row.peakMiB).toHaveLength(2);
  expect(Math.min(...row.peakMiB)).toBeGreaterThanOrEqual(row.beforeMiB / 2);
  expect(row.beforeMiB).toBeGreaterThan(30);
  expect(row.usedBytes[1]).toBe(row.usedBytes[0]);
  expect(row.mostBytes).toBeGreaterThan(row.usedBytes[0]);
});

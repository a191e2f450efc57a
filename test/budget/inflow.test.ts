/**
 * Requests that come: what a burst does to newcomers, what is usual does not, and what a request takes is learned.
 */
import { expect, it } from "vitest";
import { Inflow } from "../../engine/budget/inflow.ts";

/** An inflow under a clock that the test moves. */
function clocked(): { inflow: Inflow; comeEvery: (ms: number, times: number) => void } {
  let nowMs = 1000;
  const inflow = new Inflow({ now: () => nowMs });
  return {
    inflow,
    comeEvery(ms, times) {
      for (let i = 0; i < times; i++) {
        nowMs += ms;
        inflow.came();
      }
    },
  };
}

it("a request by itself slows nothing down", () => {
  const { inflow, comeEvery } = clocked();
  expect(inflow.slowdown).toBe(1);
  comeEvery(50, 20);
  expect(inflow.slowdown).toBe(1);
  expect(inflow.count).toBe(20);
});

it("a burst leaves little of the time to what is let in, and is over soon", () => {
  const { inflow, comeEvery } = clocked();
  comeEvery(0.5, 6);
  const early = inflow.slowdown;
  comeEvery(0.5, 20);
  expect(early).toBeGreaterThan(1.5);
  expect(inflow.slowdown).toBeGreaterThan(1.5 * early);
  comeEvery(100, 1);
  expect(inflow.slowdown).toBe(1);
});

it("what comes as usual is in the pace already", () => {
  const { inflow, comeEvery } = clocked();
  comeEvery(2, 2000);
  expect(inflow.slowdown).toBeLessThan(1.1);
});

it("learns what a request takes, from turns with several, and believes no nonsense", () => {
  const { inflow } = clocked();
  const first = inflow.eachMs;
  for (const ms of [Number.NaN, -5, 0]) inflow.took(ms, 8);
  inflow.took(40, 1);
  expect(inflow.eachMs).toBe(first);
  for (let i = 0; i < 100; i++) inflow.took(2, 10);
  expect(inflow.eachMs).toBeCloseTo(0.2, 2);
  for (let i = 0; i < 100; i++) inflow.took(1e6, 10);
  expect(inflow.eachMs).toBeLessThanOrEqual(3);
});

/**
 * Requests that come: those that wait to be judged cost newcomers their reading and no more, those that are read cost
 * nothing, and a turn reads for so long while others compute.
 */
import { expect, it } from "vitest";
import { Inflow, type Newcomer } from "../../engine/budget/inflow.ts";

/** An inflow under a clock that the test moves. */
function clocked(moves = true): { inflow: Inflow; pass: (ms: number) => void; come: (times: number) => Newcomer[] } {
  let nowMs = 1000;
  const inflow = new Inflow({ now: () => nowMs, moves });
  return {
    inflow,
    pass: (ms) => void (nowMs += ms),
    come: (times) => Array.from({ length: times }, () => inflow.came()),
  };
}

it("a request by itself leaves nothing for others", () => {
  const { inflow, come } = clocked();
  const [alone] = come(1);
  expect(inflow.comingMs).toBe(0);
  inflow.judged(alone!);
  expect(inflow.steps).toBe(2);
});

it.each([true, false])(
  "a burst costs whoever is judged the reading of those who wait, and nothing once it is read (moving clock: %s)",
  (moves) => {
    const { inflow, pass, come } = clocked(moves);
    const burst = come(64);
    expect(inflow.comingMs).toBeCloseTo(63 * inflow.eachMs, 9);
    for (const newcomer of burst) inflow.judged(newcomer);
    pass(25);
    come(1);
    expect(inflow.comingMs).toBe(0);
  },
);

it("forgets who does not get to be judged, and counts nobody twice", () => {
  const { inflow, pass, come } = clocked();
  const [slow] = come(50);
  pass(101);
  expect(inflow.comingMs).toBe(0);
  inflow.judged(slow!);
  inflow.judged(slow!);
  expect(inflow.steps).toBe(50);
});

it("reads for so long between two stretches of calls, and without end while nobody computes", () => {
  const { inflow } = clocked();
  const readable = (): number => {
    let count = 0;
    while (count < 100 && inflow.mayRead()) count++;
    return count;
  };
  expect(readable()).toBe(100);
  inflow.closed(1000);
  expect(readable()).toBe(24);
  expect(readable()).toBe(0);
  inflow.closed(1001, 8 * inflow.eachMs);
  expect(readable()).toBe(8);
  inflow.closed(1002, 0);
  expect(readable(), "while a deadline has no time to give").toBe(8);
  inflow.closed(undefined);
  expect(readable()).toBe(100);
});

it("counts as a request's time what the thread computed before its handler began", () => {
  const [moving, standing] = [clocked(), clocked(false)];
  for (const { inflow, pass } of [moving, standing]) {
    inflow.closed(1000);
    pass(7);
  }
  expect(moving.inflow.came().cameMs).toBe(1000);
  expect(standing.inflow.came().cameMs).toBe(1005); // a stretch of calls
  standing.inflow.closed(undefined);
  expect(standing.inflow.came().cameMs).toBe(1007);
});

it("learns what reading takes from those that follow each other in a turn, under any clock", () => {
  for (const moves of [true, false]) {
    const { inflow, pass, come } = clocked(moves);
    const first = inflow.eachMs;
    for (let turn = 0; turn < 40; turn++) {
      inflow.closed(1000);
      pass(50); // a stretch of calls is nobody's reading
      for (const newcomer of come(8)) {
        pass(1);
        inflow.judged(newcomer);
      }
    }
    expect(inflow.eachMs, `moving: ${moves}`).toBeGreaterThan(2 * first);
    expect(inflow.eachMs, `moving: ${moves}`).toBeLessThan(1.3);
  }
});

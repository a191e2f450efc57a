/**
 * Requests that come: those that wait to be entered cost newcomers that and no more, texts are read by their deadlines
 * afterwards, and a turn reads for so long while others compute.
 */
import { expect, it } from "vitest";
import { Inflow, type Newcomer, type ReadingTurn } from "../../engine/budget/inflow.ts";

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
  inflow.entered(alone!);
  inflow.judged(alone!);
  expect(inflow.steps).toBe(3);
});

it.each([true, false])(
  "a burst costs whoever is judged the entering of those who wait for it, and nothing once they are entered (moving clock: %s)",
  (moves) => {
    const { inflow, pass, come } = clocked(moves);
    const burst = come(64);
    expect(inflow.comingMs).toBeCloseTo(63 * inflow.eachMs.head, 9);
    for (const [i, newcomer] of burst.entries()) if (i % 2 === 0) inflow.entered(newcomer);
    expect(inflow.comingMs).toBeCloseTo(31 * inflow.eachMs.head, 9);
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
  inflow.entered(slow!);
  inflow.judged(slow!);
  expect(inflow.steps).toBe(50);
});

/** How many of a hundred requests may be entered in this turn, or have their texts read. */
function readable(newTurn: () => ReadingTurn): number {
  const turns = Array.from({ length: 100 }, newTurn);
  const count = turns.filter((turn) => turn.hasCome()).length;
  for (const turn of turns) turn.end();
  return count;
}

it("enters so many between two stretches of calls, by the time that deadlines leave, and without end while nobody computes", () => {
  const { inflow } = clocked();
  const heads = (): number => readable(() => inflow.headTurn());
  expect(heads()).toBe(100);
  inflow.closed(1000);
  expect(heads()).toBe(48);
  expect(heads()).toBe(0);
  inflow.closed(1001, 60 * inflow.eachMs.head);
  expect(heads()).toBe(30);
  inflow.closed(1002, 0);
  expect(heads(), "while a deadline has no time to give").toBe(10);
  inflow.closed(undefined);
  expect(heads()).toBe(100);
});

it("reads half as many texts in a turn, and those without a deadline only where deadlines leave time", () => {
  const { inflow } = clocked();
  const texts = (deadlineMs: number): number => readable(() => inflow.textTurn(deadlineMs));
  expect(texts(Infinity)).toBe(100);
  inflow.closed(1000);
  expect(texts(1050)).toBe(24);
  inflow.closed(1001, 0);
  expect(texts(1050)).toBe(5);
  inflow.closed(1002, 0);
  expect(texts(Infinity)).toBe(0);
});

it("reads texts by their deadlines, and none while others wait to be entered", () => {
  const { inflow } = clocked();
  inflow.closed(1000, 0);
  const deadlines = [1300, 1100, Infinity, 1200, 1050, 1250, 1150, 1350];
  const waiting = deadlines.map((deadlineMs) => ({ deadlineMs, turn: inflow.textTurn(deadlineMs) }));
  const head = inflow.headTurn();
  expect(waiting.filter(({ turn }) => turn.hasCome())).toEqual([]);
  head.end();
  const read = (): number[] => {
    const found = waiting.filter(({ turn }) => {
      const hasCome = turn.hasCome();
      if (hasCome) turn.end();
      return hasCome;
    });
    for (const one of found) waiting.splice(waiting.indexOf(one), 1);
    return found.map(({ deadlineMs }) => deadlineMs).toSorted((a, b) => a - b);
  };
  expect(read()).toEqual([1050, 1100, 1150, 1200, 1250]);
  inflow.closed(1010, 0);
  expect(read()).toEqual([1300, 1350]);
  inflow.closed(1020);
  expect(read()).toEqual([Infinity]);
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

it.each([true, false])("learns what each part takes from those that follow each other in a turn (moving clock: %s)", (moves) => {
  const { inflow, pass, come } = clocked(moves);
  for (let turn = 0; turn < 40; turn++) {
    inflow.closed(1000);
    pass(50); // a stretch of calls is nobody's reading
    const burst = come(8);
    for (const newcomer of burst) {
      pass(1);
      inflow.entered(newcomer);
    }
    for (const newcomer of burst) {
      pass(0.4);
      inflow.judged(newcomer);
    }
  }
  expect(inflow.eachMs.head).toBeGreaterThan(0.9);
  expect(inflow.eachMs.head).toBeLessThan(1.1);
  expect(inflow.eachMs.text).toBeGreaterThan(0.35);
  expect(inflow.eachMs.text).toBeLessThan(0.45);
  // seven of a turn's heads have one before them, and all of its texts
  expect(inflow.readMs, "as a moving clock shows it").toBeCloseTo(moves ? 40 * (7 * 1 + 8 * 0.4) : 0, 6);
});

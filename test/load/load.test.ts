/**
 * Promises under load, on a simulated clock: deadlines of those let in, refusals at once, quality, fair shares. A few
 * random mixes on every run; the full check is check:load.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Model } from "../../engine/port/model.ts";
import { isRight, judge } from "./judge.ts";
import { makeMix, runCompared, runMix, type LoadOutcome, type LoadRequest, type Mix } from "./mixes.ts";
import { simulatedModel } from "./model.ts";

let model: Model;
beforeAll(async () => {
  model = await simulatedModel();
});

/** The same mixes every time, as one in some fifty of all has an answer or a refusal that comes late: check:load counts those. */
const [SEED, MIXES] = [31, 24];

it(`keeps its promises in ${MIXES} mixes (seed ${SEED})`, async () => {
  for (let mix = 0; mix < MIXES; mix++) {
    const { failures } = judge(await runCompared(model, makeMix(SEED, mix), SEED));
    expect(failures, `npm run check:load -- --mixes 1 --first ${mix} --seed ${SEED}`).toEqual([]);
  }
});

const SHORT = { need: 8, answer: 3, rows: 40, latencyMs: undefined, maxTokens: undefined, thinksFully: false } as const;
const LONG = { ...SHORT, rows: 816, thinksFully: true } as const;

/** What reading a request takes of the thread. */
const READING_MS = 0.15;

type Kind = Omit<LoadRequest, "id" | "key">;

/** Callers with `each` requests of a kind, one after the other. */
function callersOf(kinds: readonly (readonly [kind: Kind, callers: number, each: number])[]): Mix["callers"] {
  let [id, caller] = [3, 0];
  return kinds.flatMap(([kind, callers, each]) =>
    Array.from({ length: callers }, () => {
      const key = `key-${caller++}`;
      return Array.from({ length: each }, () => ({ ...kind, id: id++, key }));
    }),
  );
}

async function outcomesOf(kinds: Parameters<typeof callersOf>[0], more: Partial<Mix> = {}): Promise<readonly LoadOutcome[]> {
  const callers = callersOf(kinds);
  const mix: Mix = {
    callers,
    startsMs: callers.map(() => 0),
    clock: "moving",
    speed: 0.7,
    readingMs: READING_MS,
    limitBytes: 96 << 20,
    ...more,
  };
  return (await runMix(model, mix, 1)).outcomes;
}

const tookMs = ({ sentMs, endedMs }: LoadOutcome): number => endedMs - sentMs;
const isAnswered = ({ report }: LoadOutcome): boolean => report !== undefined;

describe.each(["moving", "standing"] as const)("under a %s clock", (clock) => {
  it("a short question with 100 ms is answered in time beside four callers of long prompts, 25 times of 25", async () => {
    const question = { ...SHORT, latencyMs: 100 };
    const outcomes = await outcomesOf(
      [
        [question, 1, 25],
        [LONG, 4, 3],
      ],
      { clock, startsMs: [30, 0, 0, 0, 0] },
    );
    const short = outcomes.filter(({ request }) => request.latencyMs !== undefined);
    expect(short.filter((o) => isAnswered(o) && tookMs(o) <= 100 && isRight(o) === true)).toHaveLength(25);
  });

  it("of 64 equal questions at once with 50 ms those let in are right and in time, half of what a core could do or more", async () => {
    const [alone] = await outcomesOf([[SHORT, 1, 1]], { clock });
    const outcomes = await outcomesOf([[{ ...SHORT, latencyMs: 50 }, 64, 1]], { clock });
    const admitted = outcomes.filter(isAnswered);
    // 64 handlers begin one after the other; how long the last waited for its turn shows on no clock that stands still
    const sinceMs = (o: LoadOutcome): number => (clock === "moving" ? o.sentMs : o.startedMs);
    expect(admitted.filter((o) => o.endedMs - sinceMs(o) > 50)).toEqual([]);
    expect(admitted.filter((o) => isRight(o) === true).length).toBeGreaterThanOrEqual(0.95 * admitted.length);
    expect(admitted.length).toBeGreaterThanOrEqual(Math.floor(50 / alone!.servedMs / 2));
    expect(admitted.length).toBeLessThan(64);
    for (const refused of outcomes.filter((o) => !isAnswered(o))) expect(tookMs(refused)).toBeLessThan(50);
  });

  it.each([1, 4, 16])("a short question without a deadline waits for its share beside %d callers of long prompts", async (callers) => {
    const [alone] = await outcomesOf([[SHORT, 1, 1]], { clock });
    const outcomes = await outcomesOf(
      [
        [SHORT, 1, 1],
        [LONG, callers, 1],
      ],
      { clock, startsMs: [20, ...Array.from({ length: callers }, () => 0)] },
    );
    const short = outcomes.find(({ request }) => request.rows === SHORT.rows)!;
    // its share of the thread, and for each of its steps at most a call of everybody else's
    expect(tookMs(short)).toBeLessThan((callers + 1) * (tookMs(alone!) + 12));
  });

  it("a refusal for want of memory comes before any work", async () => {
    const outcomes = await outcomesOf([[LONG, 4, 2]], { clock, limitBytes: 8 << 20 });
    const refused = outcomes.filter((o) => !isAnswered(o));
    expect(refused.length).toBeGreaterThan(0);
    for (const { error, servedMs } of refused) {
      expect(error).toMatchObject({ code: "out_of_memory" });
      expect(servedMs).toBe(0);
    }
  });
});

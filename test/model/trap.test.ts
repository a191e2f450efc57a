/**
 * The trap of early exit: on a chain of reasoning the answer's row stands still for iterations, before the news has
 * reached it. Stopping it there, by itself, is confidently wrong; prefix and rest-wake wait.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { loadNodeModel } from "../../cli/models.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { argmax } from "../../engine/decode/exit.ts";
import { generate } from "../../engine/decode/generate.ts";
import { movement } from "../../engine/decode/rest.ts";
import { parseExitRule } from "../../engine/exit-rule.ts";
import type { Model } from "../../engine/port/model.ts";

const THRESHOLD = 0.1;
const LIMIT = 32;
const CACHE = parseCacheStrategy("latest-m1-compress-s1");

/** Held-out problems of the shipped model; `stillFor`: iterations that the answer's row stands still on a wrong answer. */
const CHAINS = [
  {
    name: "a liar chain of 14 speakers",
    prompt:
      "Question: Isla lies. Rasate says Isla lies. Nico says Rasate lies. Nell says Nico lies. Anton says Nell lies. Priya says Anton tells the truth. " +
      "Dario says Priya lies. Ivan says Dario lies. Basil says Ivan tells the truth. Eli says Basil tells the truth. Cecil says Eli tells the truth. " +
      "Caleb says Cecil tells the truth. Kapatt says Caleb tells the truth. Yokille says Kapatt tells the truth. Duncan says Yokille tells the truth. Does Duncan tell the truth?",
    answer: "No",
    stillFor: 6,
  },
  {
    name: "running arithmetic of 12 operations",
    prompt:
      "Begin at 7. Subtract 7. Add 9. Subtract 4. Subtract 5. Subtract 8. Add 4. Subtract 9. Subtract 6. Add 1. Subtract 3. Double it. Subtract 2. What is the last digit?",
    answer: "6",
    stillFor: 6,
  },
  {
    name: "a walk of 10 instructions",
    prompt:
      "If you follow these instructions, do you return to the starting point? Always face forward. Take 7 steps backward. Take 8 steps forward. Take 9 steps left. " +
      "Take 4 steps backward. Take 9 steps forward. Take 3 steps backward. Take 6 steps backward. Take 5 steps forward. Take 9 steps right. Take 2 steps backward.\nOptions:\n- Yes\n- No",
    answer: "Yes",
    stillFor: 5,
  },
];

describe("a chain whose news arrives late", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadNodeModel("nano", "wasm");
  });

  for (const { name, prompt, answer, stillFor } of CHAINS) {
    const ids = (): number[] => model.text.encodeChat([{ role: "user", content: prompt }]);

    it(`traps a rule that looks at the answer's row alone: ${name}`, async () => {
      const { backend, text } = model;
      const sequence = backend.openSequence({ capacity: ids().length, maxIterations: LIMIT, cache: CACHE });
      const rows = await backend.prelude(ids().map((token) => ({ sequence, token })));
      const last = rows.slice(-1);
      const still: boolean[] = [];
      const guesses: string[] = [];
      for (let t = 0; t < LIMIT; t++) {
        await backend.iterate(rows);
        const [change] = await backend.measure(last);
        const [logits] = await backend.readout(rows, last);
        still.push(movement(change!) < THRESHOLD);
        guesses.push(text.decode([argmax(logits!)]).trim());
      }
      backend.closeSequence(sequence);
      const stop = still.indexOf(true);
      const waits = still.findIndex((isStill, t) => t >= stop && (!isStill || guesses[t] === answer)) - stop;
      expect(guesses[stop]).not.toBe(answer);
      expect(waits).toBeGreaterThanOrEqual(stillFor);
      expect(guesses.at(-1)).toBe(answer);
    });

    for (const rule of [`prefix:${THRESHOLD}`, `rest-wake:${THRESHOLD}:0.3`])
      it(`does not trap ${rule}: ${name}`, async () => {
        const options = {
          prompt: ids(),
          maxTokens: 1,
          iterations: LIMIT,
          exit: parseExitRule(rule),
          cache: CACHE,
          stopTokens: new Set<number>(),
        };
        for await (const token of generate(model.backend, options)) {
          expect(model.text.decode([token.token]).trim()).toBe(answer);
          expect(token.rowIterations).toBeLessThan(0.5 * LIMIT * token.rows);
        }
      });
  }
});

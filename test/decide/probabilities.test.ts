/** From fit scores to probabilities and confidences: known values, and independence of the options' order. */
import { describe, expect, it } from "vitest";
import { choiceConfidence, scoreConfidence } from "../../engine/decide/confidence.ts";
import { bestOf, expectation, logSumExp, overlap, sigmoid, softmax } from "../../engine/decide/probabilities.ts";
import { uniform } from "../../engine/random.ts";

const scoresOf = (count: number, seed: number): number[] => Array.from({ length: count }, (_, i) => 40 * (uniform(seed, 0, i) - 0.5));

describe("probabilities", () => {
  it("are permuted, bit for bit, when the options are", () => {
    for (let seed = 0; seed < 50; seed++) {
      const scores = scoresOf(2 + ((seed * 5) % 254), seed);
      const order = scores.map((_, i) => i).sort((a, b) => uniform(seed, 1, a) - uniform(seed, 1, b));
      const permuted = softmax(
        order.map((i) => scores[i]!),
        1.7,
      );
      const plain = softmax(scores, 1.7);
      expect(permuted).toEqual(order.map((i) => plain[i]));
    }
  });

  it("sum to 1, are equal for equal scores, and survive scores that exp does not", () => {
    const p = softmax([900, 900, -900]);
    expect(p).toEqual([0.5, 0.5, 0]);
    expect(softmax([-1e5])).toEqual([1]);
    expect(sigmoid(-1000)).toBe(0);
    expect(sigmoid(1000)).toBe(1);
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 10);
  });

  it("are flatter at a higher temperature", () => {
    expect(softmax([2, 1])[0]).toBeCloseTo(0.7310586, 6);
    expect(softmax([2, 1], 2)[0]).toBeCloseTo(sigmoid(0.5), 12);
  });

  it("have an expectation and an overlap", () => {
    expect(expectation([0.1, 0.2, 0.7])).toBeCloseTo(1.6, 12);
    expect(overlap([0.5, 0.5], [0.8, 0.2])).toBeCloseTo(0.7, 12);
    expect(overlap([0.9], [0.6])).toBeCloseTo(0.7, 12);
  });

  it("are led, of equals, by the text that comes first, wherever it stands", () => {
    expect(bestOf([0.4, 0.4, 0.2], ["b", "a", "c"])).toBe(1);
    expect(bestOf([0.4, 0.2, 0.4], ["a", "c", "b"])).toBe(0);
    expect(bestOf([0.4, 0.2, 0.4], ["b", "c", "b"])).toBe(0);
  });
});

describe("confidence", () => {
  it("of a choice is the winner's lead over an even guess", () => {
    expect(choiceConfidence([0.88, 0.12])).toBeCloseTo(0.76, 12);
    expect(choiceConfidence([0.25, 0.25, 0.25, 0.25])).toBe(0);
    expect(choiceConfidence([0, 1, 0])).toBe(1);
    expect(choiceConfidence([1])).toBe(1);
  });

  it("of a score is how close the levels lie around the most probable one", () => {
    expect(scoreConfidence([0, 0.95, 0.05])).toBeCloseTo(0.925, 12);
    expect(scoreConfidence([0.65, 0.3, 0.05])).toBeCloseTo(0.4, 12);
    expect(scoreConfidence([0.5, 0, 0.5])).toBe(0);
    expect(scoreConfidence([1])).toBe(1);
  });
});

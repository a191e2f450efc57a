import { describe, expect, it } from "vitest";
import { sample, type Sampling } from "../../engine/decode/sample.ts";

const LOGITS = Float32Array.from([0, 1, 2, 3, -1]);

function frequencies(sampling: Sampling, draws = 4000): number[] {
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < draws; i++) counts[sample(LOGITS, { seed: 3, ...sampling }, [], i)]!++;
  return counts.map((c) => c / draws);
}

describe("sampling", () => {
  it("is greedy at temperature 0, first token on a tie", () => {
    expect(sample(LOGITS, {}, [], 0)).toBe(3);
    expect(sample(Float32Array.from([2, 2, 1]), {}, [], 0)).toBe(0);
  });

  it("draws by probability", () => {
    const p = [0, 1, 2, 3, -1].map(Math.exp);
    const total = p.reduce((a, b) => a + b);
    frequencies({ temperature: 1 }).forEach((f, i) => expect(f).toBeCloseTo(p[i]! / total, 1));
  });

  it("keeps to the top k, the top mass and the minimum share", () => {
    expect(frequencies({ temperature: 1, topK: 2 }).map((f) => f > 0)).toEqual([false, false, true, true, false]);
    expect(frequencies({ temperature: 1, topP: 0.5 }).map((f) => f > 0)).toEqual([false, false, false, true, false]);
    expect(frequencies({ temperature: 1, minP: 0.2 }).map((f) => f > 0)).toEqual([false, false, true, true, false]);
  });

  it("repeats with its seed, token by token", () => {
    const draw = (seed: number) => Array.from({ length: 20 }, (_, i) => sample(LOGITS, { temperature: 2, seed }, [], i));
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it("discourages tokens seen before, on either side of zero", () => {
    expect(sample(LOGITS, { repetitionPenalty: 2 }, [3], 0)).toBe(2);
    expect(sample(Float32Array.from([-1, -1.5]), { repetitionPenalty: 2 }, [0], 0)).toBe(1);
  });
});

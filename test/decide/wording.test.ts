/** The words of a text as numbers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wordingOf, type Wording } from "../../engine/decide/wording.ts";

const SIZE = 1024;

function likeness(a: Wording, b: Wording): number {
  return a.buckets.reduce((sum, bucket, i) => {
    const at = b.buckets.indexOf(bucket);
    return at < 0 ? sum : sum + a.values[i]! * b.values[at]!;
  }, 0);
}

const of = (text: string): Wording => wordingOf(text, SIZE);

describe("wording", () => {
  it("is of length 1, in as many buckets as asked, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 4096 }), (text, size) => {
        const { buckets, values } = wordingOf(text, size);
        expect(new Set(buckets).size).toBe(buckets.length);
        expect(buckets.every((bucket) => Number.isInteger(bucket) && bucket >= 0 && bucket < size)).toBe(true);
        const length = Math.hypot(...values);
        expect(length === 0 || Math.abs(length - 1) < 1e-9).toBe(true);
      }),
    );
  });

  it("takes no note of case and signs, and some of parts of words", () => {
    expect(likeness(of("Replace the tyre!"), of("replace, the TYRE"))).toBeCloseTo(1, 12);
    const same = likeness(of("the tyre is flat"), of("tyres were flattened"));
    const other = likeness(of("the tyre is flat"), of("when do you open"));
    expect(same).toBeGreaterThan(0.2);
    expect(Math.abs(other)).toBeLessThan(0.1);
  });

  it("knows the order of neighbours", () => {
    expect(likeness(of("paris to rome"), of("rome to paris"))).toBeLessThan(0.99);
  });

  it("of a text without words is nothing", () => {
    expect(of("?! ...")).toEqual({ buckets: [], values: [] });
  });
});

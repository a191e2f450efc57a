/**
 * Comparisons whose message says which element differed most, and by how much.
 */
import { expect } from "vitest";

/** Every element within `relative` of the largest expected magnitude. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number, what = "result"): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  const allowed = relative * Math.max(largest, 1e-6);
  let [worst, error] = [-1, allowed];
  for (let i = 0; i < expected.length; i++) {
    const e = Math.abs(actual[i]! - expected[i]!);
    if (!(e <= error)) [worst, error] = [i, e];
  }
  if (worst >= 0)
    expect.fail(
      `${what}: element ${worst} of ${expected.length} is ${actual[worst]}, expected ${expected[worst]}; off by ${error}, allowed ${allowed}`,
    );
}

/** Bit for bit. */
export function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>, what = "result"): void {
  expect(actual.length, `${what}: length`).toBe(expected.length);
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]))
      expect.fail(`${what}: element ${i} of ${expected.length} is ${actual[i]}, expected exactly ${expected[i]}`);
}

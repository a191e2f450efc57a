/** Seeded draws for the fuzzers: the same seed and run give the same case, whatever ran before. */
import { uniform } from "../../engine/random.ts";

export interface Dice {
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  chance(probability: number): boolean;
  of<T>(things: readonly T[]): T;
}

export function diceOf(seed: number, run: number): Dice {
  let index = 0;
  const next = (): number => uniform(seed, run, index++);
  const below = (n: number): number => Math.floor(next() * n);
  return { below, chance: (probability) => next() < probability, of: (things) => things[below(things.length)]! };
}

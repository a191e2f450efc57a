/**
 * Histories (engine/port/backend.ts) over one implementation: rows behind a parent that has long ended, which see it as it
 * was iteration by iteration, against the same rows beside it. Backends that keep none refuse them by name.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { Row, Sequence } from "../../engine/port/backend.ts";
import type { Implementation } from "./implementations.ts";
import type { PortBackend } from "./scene.ts";

const CACHE = parseCacheStrategy("latest-m2-compress-s2");
const ITERATIONS = 5;
const BEFORE = { tokens: [3, 17, 5, 11, 2], depths: [3, 1, 2, 5, 3] };
const BEHIND = { tokens: [9, 4, 1], depths: [2, 5, 4] };

export function histories(implementation: Implementation): void {
  let backend: PortBackend;
  beforeAll(async () => void (backend = await implementation.create()));
  afterAll(() => implementation.close?.());

  const enter = async (sequence: Sequence, tokens: readonly number[]): Promise<Row[]> =>
    backend.prelude(tokens.map((token) => ({ sequence, token })));
  /** Runs an iteration of the rows that go so deep, and reads the last of all. */
  const step = async (rows: readonly Row[], depths: readonly number[], t: number): Promise<number[]> => {
    await backend.iterate(rows.filter((_, i) => depths[i]! >= t));
    const [logits] = await backend.readout(rows, rows.slice(-1));
    return [...logits!];
  };
  const open = (more: object = {}): Sequence => backend.openSequence({ capacity: 8, maxIterations: ITERATIONS, cache: CACHE, ...more });

  it("a history is kept, or refused by name with nothing changed", async () => {
    const before = backend.memory().usedBytes;
    const sequence = open();
    if (backend.recall !== undefined) {
      const kept = open({ history: { iterations: 3 } });
      expect(backend.memory().usedBytes - before).toBe(
        backend.sequenceBytes(sequence.options) + backend.sequenceBytes({ ...sequence.options, history: { iterations: 3 } }),
      );
      backend.closeSequence(kept);
      expect(() => open({ history: { iterations: 3 }, cache: parseCacheStrategy("full") })).toThrow(/history/);
      expect(() => open({ history: { iterations: 0 } })).toThrow(/history/);
    } else {
      expect(() => open({ history: { iterations: 3 } })).toThrow(/history/);
      await enter(sequence, [1, 2]);
      expect(() => backend.branch(sequence, { capacity: 1, from: 1 })).toThrow(/branch/);
      expect(() => backend.branch(sequence, { capacity: 1, maxIterations: 9 })).toThrow(/branch/);
    }
    backend.closeSequence(sequence);
    if (implementation.isPooled !== true) expect(backend.memory().usedBytes).toBe(before);
  });

  it("what cannot be recalled is refused by name", async ({ skip }) => {
    if (backend.recall === undefined) return skip("this implementation keeps no history");
    const parent = open({ history: { iterations: ITERATIONS } });
    await enter(parent, [1, 2]);
    const branch = backend.branch(parent, { capacity: 1 });
    for (const wrong of [
      () => backend.recall!(parent, [1]),
      () => backend.recall!(branch, [1, 1, 1]),
      () => backend.recall!(branch, [0, 1]),
    ])
      expect(wrong).toThrow(expect.objectContaining({ code: "invalid_request" }));
    for (const from of [0, 3, 1.5])
      expect(() => backend.branch(parent, { capacity: 1, from })).toThrow(expect.objectContaining({ param: "from" }));
    for (const sequence of [branch, parent]) backend.closeSequence(sequence);
  });

  if (implementation.computes === false) return;

  it.each([5, 3])("rows behind %i positions of a finished parent see it as it was, bit for bit", async (from) => {
    if (backend.recall === undefined) return;
    const plain = open();
    const all = await enter(plain, [...BEFORE.tokens.slice(0, from), ...BEHIND.tokens]);
    const depths = [...BEFORE.depths.slice(0, from), ...BEHIND.depths];
    const expected: number[][] = [];
    for (let t = 1; t <= ITERATIONS; t++) expected.push(await step(all, depths, t));
    backend.closeSequence(plain);

    const parent = open({ capacity: 5, history: { iterations: ITERATIONS, coda: true } });
    const above = await enter(parent, BEFORE.tokens);
    for (let t = 1; t <= ITERATIONS; t++) await step(above, BEFORE.depths, t);
    backend.release(above);
    const branch = backend.branch(parent, { capacity: 3, from, maxIterations: 7 });
    const rows = await enter(branch, BEHIND.tokens);
    const seen: number[][] = [];
    for (let t = 1; t <= ITERATIONS; t++) {
      backend.recall(
        branch,
        BEFORE.depths.slice(0, from).map((depth) => Math.min(depth, t)),
      );
      seen.push(await step(rows, BEHIND.depths, t));
    }
    expect(seen).toEqual(expected);
    backend.recall(branch, undefined);
    expect(await step(rows, BEHIND.depths, ITERATIONS + 1)).toEqual(expected.at(-1));
    for (const sequence of [branch, parent]) backend.closeSequence(sequence);
  });
}

/**
 * Branches (engine/port/backend.ts) over one implementation: a family of sequences against each of its lines of descent
 * run as one plain sequence, the same tokens through the same iterations.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { Row, Sequence, SequenceOptions } from "../../engine/port/backend.ts";
import type { TokenChain } from "../../engine/port/chain.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { lineTo, namesOf, runAndKeep, runTree, type Node, type Outcome, type RunOptions } from "./family.ts";
import type { Implementation } from "./implementations.ts";
import type { PortBackend } from "./scene.ts";

/** Depths differ between positions, between parent and branches, and between siblings. */
const FAMILY: Node = {
  name: "input",
  tokens: [3, 17, 5, 11, 2],
  depths: [3, 1, 2, 4, 3],
  branches: [
    { name: "one row", tokens: [7], depths: [5] },
    {
      name: "several rows",
      tokens: [9, 4, 1],
      depths: [2, 5, 3],
      branches: [
        { name: "of a branch", tokens: [6, 6], depths: [1, 4] },
        { name: "of a branch, too", tokens: [6, 23], depths: [4, 2] },
      ],
    },
    { name: "shallow", tokens: [7, 8], depths: [1, 1] },
    { name: "no iteration", tokens: [7], depths: [0] },
  ],
};

const STRATEGIES = [
  "full",
  "skip",
  "latest-m2",
  "available-m2",
  "always-last-m2",
  "randomized",
  "latest-m2-compress-s2",
  "latest-m2-compress-r3",
  "latest-m2-compress-anchor",
  "compress-s2",
];

/** @param strategies cache strategies to try [default all] */
export function branches(implementation: Implementation, strategies: readonly string[] = STRATEGIES): void {
  let backend: PortBackend;
  beforeAll(async () => void (backend = await implementation.create()));
  afterAll(() => implementation.close?.());
  const current = (): PortBackend => backend;
  describe("memory and the end of branches", () => ledgerLaws(current, implementation.isPooled === true));
  if (implementation.computes === false) return;
  describe("what branches compute", () => numberLaws(current, strategies, implementation.isExact !== false));
}

function ledgerLaws(current: () => PortBackend, isPooled: boolean): void {
  const options: SequenceOptions = { capacity: 6, maxIterations: 2, cache: parseCacheStrategy("latest-m2"), rows: 3 };

  it("a branch begins where its parent ends, with its parent's iterations and strategy", async () => {
    const backend = current();
    const parent = backend.openSequence(options);
    const [row] = await backend.prelude([1, 2, 3].map((token) => ({ sequence: parent, token })));
    const branch = backend.branch(parent, { capacity: 4, rows: 2 });
    const inner = backend.branch(branch, { capacity: 2 });
    expect([parent.start, parent.parent, parent.length]).toEqual([0, undefined, 3]);
    expect([branch.start, branch.length, inner.start, inner.length]).toEqual([3, 3, 3, 3]);
    expect(branch.parent).toBe(parent);
    expect(branch.options).toEqual({ capacity: 4, rows: 2, maxIterations: 2, cache: options.cache });
    expect(row!.position).toBe(0);
    for (const sequence of [inner, branch, parent]) backend.closeSequence(sequence);
  });

  it("siblings take the same positions, in one call", async () => {
    const backend = current();
    const parent = backend.openSequence(options);
    await backend.prelude([1, 2].map((token) => ({ sequence: parent, token })));
    const [a, b] = [backend.branch(parent, { capacity: 2 }), backend.branch(parent, { capacity: 2 })];
    const rows = await backend.prelude([a, b, a, b].map((sequence, token) => ({ sequence, token })));
    expect(rows.map(({ position, token, sequence }) => [position, token, sequence === a ? "a" : "b"])).toEqual([
      [2, 0, "a"],
      [2, 1, "b"],
      [3, 2, "a"],
      [3, 3, "b"],
    ]);
    await expect((async () => backend.prelude([{ sequence: a, token: 1 }]))()).rejects.toMatchObject({ code: "context_overflow" });
    backend.release(rows);
    backend.truncate(a, 2);
    backend.truncate(parent, 2);
    expect([a.length, b.length, parent.length]).toEqual([2, 4, 2]);
    for (const sequence of [a, b, parent]) backend.closeSequence(sequence);
  });

  it("memory of branches that come and go does not grow", async () => {
    const backend = current();
    const round = async (): Promise<number> => {
      const parent = backend.openSequence(options);
      await backend.prelude([1, 2, 3].map((token) => ({ sequence: parent, token })));
      const opened = Array.from({ length: 20 }, (_, i) => backend.branch(parent, { capacity: 1 + (i % 3) }));
      await backend.prelude(opened.map((sequence) => ({ sequence, token: 4 })));
      for (const sequence of [...opened, parent]) backend.closeSequence(sequence);
      return backend.memory().usedBytes;
    };
    const first = await round();
    expect(await round()).toBe(first);
  });

  it("memory is counted once, for every branch as foretold, and all comes back", async ({ skip }) => {
    if (isPooled) skip("its ledger counts buffers, which are kept");
    const backend = current();
    const bytes = (): number => backend.memory().usedBytes;
    const [empty, attention] = [bytes(), backend.pressure !== undefined];
    const parent = backend.openSequence({ ...options, attention });
    await backend.prelude([1, 2, 3].map((token) => ({ sequence: parent, token })));
    for (const own of [{ capacity: 4 }, { capacity: 1 }, { capacity: 20, rows: 2, prompt: 3, attention }]) {
      const before = bytes();
      const foretold = backend.sequenceBytes({ maxIterations: 2, cache: options.cache, ...own }, parent.length);
      const branch = backend.branch(parent, own);
      expect(bytes() - before).toBe(foretold);
      backend.closeSequence(branch);
      backend.closeSequence(branch);
      expect(bytes()).toBe(before);
    }
    backend.closeSequence(parent);
    expect(bytes()).toBe(empty);
  });

  it("a parent whose branches are closed goes on, and closes", async () => {
    const backend = current();
    const parent = backend.openSequence(options);
    const rows = await backend.prelude([1, 2, 3].map((token) => ({ sequence: parent, token })));
    const branch = backend.branch(parent, { capacity: 1 });
    const [row] = await backend.prelude([{ sequence: branch, token: 4 }]);
    await backend.iterate([rows[2]!, row!]);
    backend.release([...rows, row!]);
    const refused = { code: "invalid_request", message: expect.stringContaining("1 open branch") };
    await expect((async () => backend.truncate(parent, 1))()).rejects.toMatchObject(refused);
    await expect((async () => backend.closeSequence(parent))()).rejects.toMatchObject(refused);
    backend.closeSequence(branch);
    backend.truncate(parent, 1);
    const again = await backend.prelude([4, 5, 6].map((token) => ({ sequence: parent, token })));
    expect(again.map(({ position }) => position)).toEqual([1, 2, 3]);
    backend.closeSequence(parent);
    await expect((async () => backend.iterate([row!]))()).rejects.toMatchObject({ code: "invalid_request" });
  });
}

function numberLaws(current: () => PortBackend, strategies: readonly string[], isExact: boolean): void {
  const expectAlike = (actual: Outcome, expected: Outcome, what: string): void =>
    actual.numbers.forEach((numbers, i) =>
      isExact
        ? expectSame(numbers, expected.numbers[i]!, `${what}: ${i}`)
        : expectClose(numbers, expected.numbers[i]!, 2e-5, `${what}: ${i}`),
    );

  const compare = async (run: RunOptions): Promise<void> => {
    const family = await runTree(current(), FAMILY, run);
    for (const name of namesOf(FAMILY)) {
      const line = await runTree(current(), lineTo(FAMILY, name), { ...run, isPlain: true });
      expectAlike(family.get(name)!, line.get(name)!, name);
    }
  };

  describe.each(strategies)("%s", (cache) => {
    it("branches behind their finished parent are one plain sequence with it", () => compare({ cache, mode: "after" }));
    it("branches beside their parent's rows are one plain sequence with it", () => compare({ cache, mode: "beside" }));
  });

  it("a branch's numbers depend neither on siblings nor on their order", async () => {
    const run: RunOptions = { cache: "latest-m2-compress-s2", mode: "beside" };
    const together = await runTree(current(), FAMILY, run);
    const reversed = await runTree(current(), { ...FAMILY, branches: FAMILY.branches!.toReversed() }, { ...run, isBackward: true });
    for (const name of namesOf(FAMILY)) {
      expectAlike(reversed.get(name)!, together.get(name)!, `${name}, in another order`);
      const alone = await runTree(current(), lineTo(FAMILY, name), run);
      expectAlike(alone.get(name)!, together.get(name)!, `${name}, alone`);
    }
  });

  it("forty siblings of several rows run in one call each as alone", async () => {
    const branches = Array.from({ length: 40 }, (_, i) => ({ name: `${i}`, tokens: [i % 24, 4, (7 * i) % 24], depths: [2, 2, 3] }));
    const crowd: Node = { ...FAMILY, branches };
    const run: RunOptions = { cache: "latest-m2-compress-s2", mode: "beside" };
    const together = await runTree(current(), crowd, run);
    for (const name of ["0", "13", "39"]) {
      const line = await runTree(current(), lineTo(crowd, name), { ...run, isPlain: true });
      expectAlike(together.get(name)!, line.get(name)!, `sibling ${name}`);
    }
  });

  it("what a branch's strategy does not find in its parent is missed by name, and nothing has changed", async () => {
    const backend = current();
    const parent = backend.openSequence({ capacity: 2, maxIterations: 3, cache: parseCacheStrategy("compress-s16") });
    const [first] = await backend.prelude([{ sequence: parent, token: 1 }]);
    await backend.iterate([first!]);
    const branch = backend.branch(parent, { capacity: 1 });
    const [row] = await backend.prelude([{ sequence: branch, token: 2 }]);
    await backend.iterate([row!]);
    await expect((async () => backend.iterate([row!]))()).rejects.toMatchObject({ code: "missing_cache" });
    expect(row!.iterations).toBe(1);
    await backend.iterate([row!, first!]); // beside its parent's it finds it
    expect(row!.iterations).toBe(2);
    for (const sequence of [branch, parent]) backend.closeSequence(sequence);
  });

  it("tokens that a backend makes by itself in branches are those of one plain sequence", async ({ skip }) => {
    const backend = current();
    if (backend.openChain === undefined || backend.makeTokens === undefined) return skip("this implementation makes no tokens by itself");
    const options = { capacity: 10, maxIterations: 3, cache: parseCacheStrategy("latest-m2-compress-s2") };
    const enter = async (sequence: Sequence, tokens: readonly number[]): Promise<Row> => {
      const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
      for (let t = 0; t < 3; t++) await backend.iterate(rows);
      await backend.readout(rows, []);
      backend.release(rows.slice(0, -1));
      return rows.at(-1)!;
    };
    const chainAt = (row: Row): TokenChain =>
      backend.openChain!({
        row,
        token: 4,
        maxTokens: 4,
        exit: { criterion: "none", threshold: 0 },
        stopTokens: new Set(),
        warmStart: "off",
        initialState: () => undefined,
      })!;
    const make = async (chains: readonly TokenChain[]): Promise<number[][]> =>
      (
        await backend.makeTokens!(
          chains,
          chains.map(() => [3, 2, 3, 1]),
        )
      ).map((made) => made.map(({ token }) => token));
    const ends = [[7], [9, 11]];
    const plain: number[][] = [];
    for (const end of ends) {
      const sequence = backend.openSequence(options);
      backend.release([await enter(sequence, [3, 1, 2])]);
      plain.push(...(await make([chainAt(await enter(sequence, end))])));
      backend.closeSequence(sequence);
    }
    const parent = backend.openSequence({ ...options, capacity: 3 });
    backend.release([await enter(parent, [3, 1, 2])]);
    const opened = ends.map(() => backend.branch(parent, { capacity: 6 }));
    const rows: Row[] = [];
    for (const [i, end] of ends.entries()) rows.push(await enter(opened[i]!, end));
    expect(await make(rows.map(chainAt))).toEqual(plain);
    expect(plain.map((tokens) => tokens.length)).toEqual([4, 4]);
    for (const sequence of [...opened, parent]) backend.closeSequence(sequence);
  });

  it("a parent goes on as if it had never had branches", async () => {
    const backend = current();
    const finish = async (branched: boolean): Promise<Outcome> => {
      const stem: Node = { ...FAMILY, branches: branched ? FAMILY.branches! : [] };
      const sequence = await runAndKeep(backend, stem, { cache: "latest-m2", mode: "after" });
      const [row] = await backend.prelude([{ sequence, token: 12 }]);
      for (let t = 0; t < 3; t++) await backend.iterate([row!]);
      const [logits] = await backend.readout([row!], [row!]);
      backend.closeSequence(sequence);
      return { numbers: [[...logits!]] };
    };
    expectAlike(await finish(true), await finish(false), "the parent's next token");
  });
}

/**
 * Branches that outlive their backend: a family of sequences whose primary goes away at every single call of its life.
 */
import { describe, expect, it } from "vitest";
import { FathomError } from "../../engine/errors.ts";
import { withFallback } from "../../engine/failover/fallback.ts";
import type { Backend } from "../../engine/port/backend.ts";
import type { BackendFactory } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { expectSame } from "../wasm/compare.ts";
import { randomWeights } from "../wasm/models.ts";
import { namesOf, runTree, type Node, type RunOptions } from "../port/family.ts";
import { CONFIG } from "../port/implementations.ts";

const load = randomWeights(CONFIG);

const FAMILY: Node = {
  name: "input",
  tokens: [3, 17, 5],
  depths: [2, 1, 3],
  branches: [
    { name: "a", tokens: [9, 4], depths: [2, 3], branches: [{ name: "a, further", tokens: [6], depths: [4] }] },
    { name: "b", tokens: [7], depths: [1] },
  ],
};

/** The calls that a device can fail. */
const CALLS: readonly PropertyKey[] = ["openSequence", "branch", "prelude", "iterate", "measure", "pressure", "readout", "latent"];

/** A backend that goes away at its n-th call, and how many calls there were. */
function leavingAt(n: number): { readonly factory: BackendFactory; calls: number } {
  const life = {
    calls: 0,
    factory: (async (...model) =>
      new Proxy<Backend>(await createReferenceBackend(...model), {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== "function") return value;
          return (...args: unknown[]): unknown => {
            if (CALLS.includes(key) && life.calls++ >= n) throw new FathomError("unavailable", "The device broke.");
            return Reflect.apply(value, target, args);
          };
        },
      })) satisfies BackendFactory,
  };
  return life;
}

describe("a family of branches", () => {
  const runs: readonly RunOptions[] = [
    { cache: "latest-m2-compress-s2", mode: "beside" }, // what a row reads depends on the order of calls
    { cache: "full", mode: "after" },
  ];

  it.each(runs)("goes on bit for bit wherever its backend dies, under $cache, branches $mode their parent", async (run) => {
    const reference = await createReferenceBackend(CONFIG, load);
    const expected = await runTree(reference, FAMILY, run);
    const whole = leavingAt(Infinity);
    await runTree(await withFallback(whole.factory, createReferenceBackend, () => undefined)(CONFIG, load), FAMILY, run);
    expect(whole.calls).toBeGreaterThan(20);
    for (let n = 0; n < whole.calls; n++) {
      const log: string[] = [];
      const backend = await withFallback(leavingAt(n).factory, createReferenceBackend, (line) => log.push(line))(CONFIG, load);
      const actual = await runTree(backend, FAMILY, run);
      for (const name of namesOf(FAMILY))
        actual.get(name)!.numbers.forEach((numbers, i) => expectSame(numbers, expected.get(name)!.numbers[i]!, `call ${n}: ${name} ${i}`));
      expect(log).toHaveLength(1);
      expect(backend.memory().usedBytes).toBe(0);
    }
  });
});

describe("on the way to the fallback", () => {
  const options = { capacity: 4, maxIterations: 2, cache: parseCacheStrategy("full") };

  it("branches open, close, and close with their parents", async () => {
    let fallback: Backend | undefined;
    const open: BackendFactory = async (...model) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return (fallback = await createReferenceBackend(...model));
    };
    const backend = await withFallback(leavingAt(3).factory, open, () => undefined)(CONFIG, load);
    const parent = backend.openSequence(options);
    const [row] = await backend.prelude([{ sequence: parent, token: 1 }]);
    const early = backend.branch(parent, { capacity: 2 });
    const pending = backend.iterate([row!]); // finds the device gone
    const [kept, closed] = [backend.branch(parent, { capacity: 2 }), backend.branch(early, { capacity: 1 })];
    backend.closeSequence(closed);
    backend.closeSequence(early);
    await pending;
    expect(fallback!.memory().usedBytes).toBe(fallback!.sequenceBytes(options) + fallback!.sequenceBytes({ ...options, capacity: 2 }));
    const [next] = await backend.prelude([{ sequence: kept, token: 2 }]);
    expect([next!.position, row!.iterations]).toEqual([1, 1]);
    backend.closeSequence(kept);
    backend.closeSequence(parent);
    expect(fallback!.memory().usedBytes).toBe(0);
  });

  it("a family that the fallback cannot take ends with the same error for all of it", async () => {
    const full: BackendFactory = async (...model) => {
      const backend = await createReferenceBackend(...model);
      backend.branch = () => {
        throw new FathomError("out_of_memory", "There is no room for a branch.");
      };
      return backend;
    };
    const backend = await withFallback(leavingAt(4).factory, full, () => undefined)(CONFIG, load);
    const parent = backend.openSequence(options);
    const [row] = await backend.prelude([{ sequence: parent, token: 1 }]);
    const branch = backend.branch(parent, { capacity: 2 });
    const [behind] = await backend.prelude([{ sequence: branch, token: 1 }]);
    for (const rows of [[row!], [behind!]]) await expect(backend.iterate(rows)).rejects.toMatchObject({ code: "out_of_memory" });
    expect(() => backend.branch(branch, { capacity: 1 })).toThrow("There is no room for a branch.");
    for (const sequence of [branch, parent]) backend.closeSequence(sequence);
    expect(backend.memory().usedBytes).toBe(0);
  });
});

/**
 * Branches against the scores of the reference model in branch form, whose authors computed every branch as a plain
 * sequence: shared rows once, all options as branches in one call.
 */
import { describe, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { MaybePromise, Row, Sequence } from "../../engine/port/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { expectClose } from "../wasm/compare.ts";
import { hasDecider, loadDecider, referenceCases } from "../decide/models.ts";

/** The token whose logit at a branch's last row is its score. */
const YES = 6;

describe.skipIf(!hasDecider)("the reference model's decisions, as branches [skipped where the model is not beside the repository]", () => {
  // with slots of its own for every iteration, a branch finds the parent's iteration of its own depth also afterwards
  const runs = [1, 2, 4, 8, 16].flatMap((iterations) => [
    { iterations, cache: "full", order: "behind their finished parent" },
    { iterations, cache: "latest-m2-compress-s2", order: "beside their parent's rows" },
  ]);

  it.each(runs)("have their reference scores at $iterations iterations, under $cache $order", async ({ iterations, cache, order }) => {
    const { backend } = await loadDecider(createNodeWasmBackend);
    for (const { input, shared, branches, fit } of referenceCases()) {
      const parent = backend.openSequence({ capacity: shared.length, maxIterations: iterations, cache: parseCacheStrategy(cache) });
      const above = await backend.prelude(shared.map((token) => ({ sequence: parent, token })));
      const begin = (): Sequence[] => branches.map((tokens) => backend.branch(parent, { capacity: tokens.length }));
      const enter = (opened: readonly Sequence[]): MaybePromise<Row[]> =>
        backend.prelude(branches.flatMap((tokens, i) => tokens.map((token) => ({ sequence: opened[i]!, token }))));
      const isAfter = order.startsWith("behind");
      if (isAfter) for (let t = 0; t < iterations; t++) await backend.iterate(above);
      const opened = begin();
      const behind = await enter(opened);
      for (let t = 0; t < iterations; t++) await backend.iterate(isAfter ? behind : [...above, ...behind]);
      const last = opened.map((sequence) => behind.findLast((row) => row.sequence === sequence)!);
      const scores = (await backend.readout([...above, ...behind], last, [YES])).map(([score]) => score!);
      expectClose(scores, fit[iterations]!, 2e-4, input);
      for (const sequence of [...opened, parent]) backend.closeSequence(sequence);
    }
  });
});

/**
 * The reference model in branch form: its fit scores, each branch computed as a plain sequence by an independent
 * implementation, at 1 to 16 iterations. The data lies beside the repository where it was made; a clean clone skips this.
 */
import { describe, expect, it } from "vitest";
import { decide } from "../../engine/decide/decide.ts";
import type { Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { distances, prepareCase, TOLERANCES } from "./distances.ts";
import { hasDecider, loadDecider, referenceCases, type ReferenceCase } from "./models.ts";

const cases = hasDecider ? referenceCases() : [];

async function distance(model: Model, which: readonly ReferenceCase[], most: number): Promise<number> {
  return Math.max(...(await distances(model, which, most)).values());
}

describe.skipIf(!hasDecider)("the reference model in branch form (skipped where its data is absent)", () => {
  it("is put into the recorded tokens", async () => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load));
    for (const one of cases) {
      const [tree] = prepareCase(model, one).trees;
      const [question] = tree!.questions;
      expect([...tree!.tokens, ...question!.tokens], one.input).toEqual(one.shared);
      const byText = (one.options ?? [""]).map((text) => question!.leaves[question!.texts.indexOf(text)]);
      expect(byText, one.input).toEqual(one.branches);
    }
  });

  it("has the recorded scores on the reference backend", async () => {
    const model = await loadDecider(createReferenceBackend);
    expect(await distance(model, [cases[3]!, cases[5]!], 2)).toBeLessThan(2e-5);
  });

  it.each([
    ["f32", 2e-5],
    ["q8", TOLERANCES.q8],
    ["q4", TOLERANCES.q4],
  ] as const)("has the recorded scores on Wasm in %s, but for %d", async (format, tolerance) => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load, { kv: "f32" }), format);
    const worst = await distance(model, cases, 16);
    expect(worst).toBeLessThan(tolerance);
    if (format !== "f32") expect(worst, "quantised weights that change nothing were not used").toBeGreaterThan(1e-3);
  });

  it("ends by itself after three to five iterations, close to what sixteen say", async () => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load, { kv: "f32" }));
    for (const one of cases) {
      const { answers } = await decide(prepareCase(model, one));
      const [answer] = answers;
      expect(answer!.iterations, one.input).toBeGreaterThanOrEqual(3);
      expect(answer!.iterations, one.input).toBeLessThanOrEqual(5);
      one.fit["16"]!.forEach((score, i) => expect(Math.abs(score - answer!.fitScores[i]!), one.input).toBeLessThan(0.02));
    }
  });
});

/**
 * The reference model in branch form: its fit scores, each branch computed as a plain sequence by an independent
 * implementation, at 1 to 16 iterations. The data lies beside the repository where it was made; a clean clone skips this.
 */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import type { Model } from "../../engine/port/index.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { hasDecider, loadDecider, referenceCases, type ReferenceCase } from "./models.ts";

const cases = hasDecider ? referenceCases() : [];

function prepare(model: Model, { input, instructions, options }: ReferenceCase) {
  const question: Question =
    options === null ? { kind: "predicate", instructions } : { kind: "choice", instructions, options: options.map((text) => ({ text })) };
  return prepareDecision(model, { input, questions: [question] });
}

/** Largest distance of any fit score from the recorded one, at the recorded iterations up to `most`. */
async function distance(model: Model, which: readonly ReferenceCase[], most: number): Promise<number> {
  let worst = 0;
  for (const one of which) {
    const { answers } = await decide(prepare(model, one), { iterations: most, exit: NEVER_EXIT });
    for (const [r, recorded] of Object.entries(one.fit).filter(([r]) => Number(r) <= most)) {
      const { fitScores } = answers[0]!.history[Number(r) - 1]!;
      recorded.forEach((score, i) => (worst = Math.max(worst, Math.abs(score - fitScores[i]!))));
    }
  }
  return worst;
}

describe.skipIf(!hasDecider)("the reference model in branch form (skipped where its data is absent)", () => {
  it("is put into the recorded tokens", async () => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load));
    for (const one of cases) {
      const [tree] = prepare(model, one).trees;
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

  // measured: f32 4.3e-6, q8 0.047, q4 (embedding q8) 0.53; scores reach from -9 to 4
  it.each([
    ["f32", 2e-5],
    ["q8", 0.1],
    ["q4", 0.8],
  ] as const)("has the recorded scores on Wasm in %s, but for %d", async (format, tolerance) => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load, { kv: "f32" }), format);
    const worst = await distance(model, cases, 16);
    expect(worst).toBeLessThan(tolerance);
    if (format !== "f32") expect(worst, "quantised weights that change nothing were not used").toBeGreaterThan(1e-3);
  });

  it("ends by itself after three to five iterations, close to what sixteen say", async () => {
    const model = await loadDecider((config, load) => createNodeWasmBackend(config, load, { kv: "f32" }));
    for (const one of cases) {
      const { answers } = await decide(prepare(model, one));
      const [answer] = answers;
      expect(answer!.iterations, one.input).toBeGreaterThanOrEqual(3);
      expect(answer!.iterations, one.input).toBeLessThanOrEqual(5);
      one.fit["16"]!.forEach((score, i) => expect(Math.abs(score - answer!.fitScores[i]!), one.input).toBeLessThan(0.02));
    }
  });
});

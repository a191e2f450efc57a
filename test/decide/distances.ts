/**
 * How far a model's fit scores are from those that the reference model in branch form was recorded with, iteration by
 * iteration.
 */
import { decide, prepareDecision, type PreparedDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import type { Model } from "../../engine/port/index.ts";
import type { ReferenceCase } from "./models.ts";

/** Most that a score may be off; scores reach from -9 to 4. Measured: f32 4.3e-6 on Wasm, q8 0.047, q4 with its embedding in q8 0.53. */
export const TOLERANCES = { f32: 2e-4, q8: 0.1, q4: 0.8 } as const;

export function prepareCase(model: Model, { input, instructions, options }: ReferenceCase): PreparedDecision {
  const question: Question =
    options === null ? { kind: "predicate", instructions } : { kind: "choice", instructions, options: options.map((text) => ({ text })) };
  return prepareDecision(model, { input, questions: [question] });
}

/** The largest distance of any fit score, by the recorded iterations up to `most`. */
export async function distances(model: Model, cases: readonly ReferenceCase[], most: number): Promise<Map<number, number>> {
  const worst = new Map<number, number>();
  for (const one of cases) {
    const { answers } = await decide(prepareCase(model, one), { iterations: most, exit: NEVER_EXIT });
    for (const [r, recorded] of Object.entries(one.fit).filter(([r]) => Number(r) <= most)) {
      const { fitScores } = answers[0]!.history[Number(r) - 1]!;
      const off = Math.max(...recorded.map((score, i) => Math.abs(score - fitScores[i]!)));
      worst.set(Number(r), Math.max(worst.get(Number(r)) ?? 0, off));
    }
  }
  return worst;
}

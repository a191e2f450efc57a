/**
 * What match knows of an input: the mapped state that stands for a question about it, without an option. Frozen features
 * for whoever fits label vectors, computed in the batches and by the rows of a decision.
 */
import { fixedDecisionPolicy } from "../decision-policy.ts";
import { FathomError } from "../errors.ts";
import { NEVER_EXIT } from "../exit-rule.ts";
import type { MatchWeights } from "../model/match.ts";
import type { Model } from "../port/model.ts";
import { batchLone, runLone, type LoneText } from "./lone-states.ts";
import { mapped } from "./match.ts";
import { putQuestions } from "./prompt.ts";
import type { Question } from "./question.ts";

/** Most memory of texts that are read together, in bytes. */
const BATCH_BYTES = 16 * 1048576;

interface Feature extends LoneText {
  readonly matrix: Float32Array;
  readonly index: number;
}

/** The match of a model that has one. @throws {FathomError} invalid_request */
export function matchOf({ decisions, card }: Model): MatchWeights {
  if (decisions.name === "branches" && decisions.match !== undefined) return decisions.match;
  throw new FathomError("invalid_request", `The model ${card.id} has no match; use one whose card has decisions.match.`, "model");
}

/**
 * The vectors of inputs, each as a question about it reads it.
 * @param onDone called with how many more have been computed
 * @throws {FathomError} invalid_request, context_overflow, naming the row by `questions`' place
 */
export async function inputVectors(
  model: Model,
  rows: readonly { readonly input: string; readonly question: Question }[],
  onDone: (count: number) => void = () => undefined,
): Promise<Float32Array[]> {
  const match = matchOf(model);
  const features = rows.map(({ input, question }, index): Feature => {
    const [tree] = putQuestions({ input, questions: [question] }, model);
    const asked = tree!.questions[0]!.tokens;
    return { index, matrix: match.question, tokens: [...tree!.tokens, ...(match.reads === "input" ? asked.slice(0, 1) : asked)] };
  });
  return vectorsOf(model, features, onDone);
}

/** The vectors of options, each by itself. */
export async function optionVectors(model: Model, texts: readonly string[]): Promise<Float32Array[]> {
  const match = matchOf(model);
  const question: Question = { kind: "choice", instructions: "", options: texts.map((text) => ({ text })) };
  const [tree] = putQuestions({ input: " ", questions: [question] }, model);
  const { texts: distinct, leaves } = tree!.questions[0]!;
  const features = texts.map((text, index) => ({ index, matrix: match.option, tokens: leaves[distinct.indexOf(text.trim())]! }));
  return vectorsOf(model, features);
}

async function vectorsOf(
  model: Model,
  features: readonly Feature[],
  onDone: (count: number) => void = () => undefined,
): Promise<Float32Array[]> {
  const { backend } = model;
  const vectors: Float32Array[] = Array.from({ length: features.length });
  for (const [i, batch] of batchLone(features, backend, BATCH_BYTES).entries()) {
    await runLone(batch, i, backend, fixedDecisionPolicy(1, NEVER_EXIT), ({ index, matrix }, state) => {
      vectors[index] = mapped(matrix, state);
    });
    onDone(batch.length);
  }
  return vectors;
}

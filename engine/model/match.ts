/**
 * The two small matrices by which a model compares a question with an option without thinking, as the card names them.
 * Not here: what they are applied to (engine/decide/match.ts).
 */
import { FathomError } from "../errors.ts";
import type { ModelCard } from "./card.ts";
import type { ModelConfig } from "./config.ts";
import type { ModelFolder } from "./folder.ts";
import { readSmallTensors } from "./small-tensors.ts";

export interface MatchWeights {
  /** Elements of a vector that both sides are mapped to. */
  readonly size: number;
  /** Matrix over a question's state, [size, width] f32. */
  readonly question: Float32Array;
  /** Matrix over an option's last state, [size, width] f32. */
  readonly option: Float32Array;
  /** Where a question's state is read: at its last row, or at its marker, where only the input stands before. */
  readonly reads: "question" | "input";
  /** What a cosine of 1 adds to a fit score. */
  readonly scale: number;
  /** What is added to every match. */
  readonly bias: number;
  /** Options of a question that are thought about. */
  readonly candidates: number;
  /** Probability by match alone from which on a question is not thought about; undefined: it always is. */
  readonly settled: number | undefined;
}

/** Reads what the card's `decisions.match` names. @throws {FathomError} invalid_checkpoint */
export async function readMatch(folder: ModelFolder, { decisions }: ModelCard, { width }: ModelConfig): Promise<MatchWeights | undefined> {
  const match = decisions?.match;
  if (match === undefined) return undefined;
  const { reads, scale, bias, candidates, settled } = match;
  const file = await readSmallTensors(folder, match.file, [match.question, match.option], "decisions.match");
  const [question, option] = [file.matrix(match.question, width), file.matrix(match.option, width)];
  if (question.rows !== option.rows)
    throw new FathomError(
      "invalid_checkpoint",
      `${file.path}: ${match.question} has ${question.rows} rows, ${match.option} ${option.rows}; they must be as many.`,
      match.option,
    );
  return { size: question.rows, question: question.values, option: option.values, reads, scale, bias, candidates, settled };
}

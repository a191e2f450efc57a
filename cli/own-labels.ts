/**
 * The labels that a model was trained on, as the question that `fathom decide` asks where nobody asks another.
 */
import { FathomError } from "../engine/errors.ts";
import type { LabelSet } from "../engine/model/labels.ts";
import type { Model } from "../engine/port/model.ts";

export interface OwnQuestion {
  readonly kind: LabelSet["kind"];
  readonly instructions: string;
  /** Labels; a predicate has none. */
  readonly options: readonly string[];
}

/** @throws {FathomError} invalid_request where the model has no labels, or was trained on several questions */
export function ownQuestion({ decisions, card }: Model): OwnQuestion {
  const sets = decisions.name === "branches" ? (decisions.labels ?? []) : [];
  const [set, another] = sets;
  if (set === undefined) throw wrong(`${card.id} has no labels of its own; ask with --question "..." and --option, or --file FILE.`);
  if (another !== undefined)
    throw wrong(
      `${card.id} was trained on several questions; ask one with --question: ${sets.map(({ instructions }) => JSON.stringify(instructions ?? "")).join(", ")}.`,
    );
  return { kind: set.kind, instructions: set.instructions ?? "", options: set.kind === "predicate" ? [] : [...set.labels.keys()] };
}

function wrong(message: string): FathomError {
  return new FathomError("invalid_request", message, "--question");
}

/**
 * What callers hand to the backend, checked before any work.
 */
import type { RowInput, Sequence, SequenceOptions } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { OnnxSequence } from "./cache.ts";

/** @throws {FathomError} invalid_request, context_overflow */
export function checkOptions({ capacity, maxIterations }: SequenceOptions, { contextLength }: ModelConfig): void {
  if (!Number.isInteger(capacity) || capacity < 1 || !Number.isInteger(maxIterations) || maxIterations < 0)
    throw new FathomError(
      "invalid_request",
      `A sequence needs a whole capacity of at least 1 and whole iterations, not ${capacity} and ${maxIterations}.`,
    );
  if (capacity > contextLength)
    throw new FathomError("context_overflow", `A sequence of ${capacity} positions does not fit the model's context of ${contextLength}.`);
}

/** An input with the position that it takes. */
export interface InputPlace {
  readonly sequence: OnnxSequence;
  readonly position: number;
  readonly token: number;
  readonly state: Float32Array | undefined;
}

/** Gives inputs their positions; takes nothing yet. @throws {FathomError} context_overflow, token_out_of_range, invalid_request */
export function placeInputs(
  inputs: readonly RowInput[],
  { vocabSize, width }: ModelConfig,
  ownSequence: (sequence: Sequence) => OnnxSequence,
): InputPlace[] {
  const next = new Map<OnnxSequence, number>();
  return inputs.map(({ sequence: theirs, token, state }) => {
    const sequence = ownSequence(theirs);
    const position = next.get(sequence) ?? sequence.length;
    if (position >= sequence.options.capacity)
      throw new FathomError("context_overflow", `The sequence was opened for ${sequence.options.capacity} positions; all are taken.`);
    if (!Number.isInteger(token) || token < 0 || token >= vocabSize)
      throw new FathomError("token_out_of_range", `Token ${token} is outside the vocabulary of ${vocabSize}.`, "token");
    if (state !== undefined && state.length !== width)
      throw new FathomError("invalid_request", `An initial state has ${state.length} elements; the model's width is ${width}.`, "state");
    next.set(sequence, position + 1);
    return { sequence, position, token, state };
  });
}

/**
 * What callers hand to the port, checked before any work: the same refusals on every backend. Checks cost something a
 * row, nothing an element but for given states. Whose a row or sequence is, and whether it still lives, is known by
 * the backend's OpenSequences (sequences.ts), which asks these.
 */
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Backend, BranchOptions, Row, Sequence, SequenceOptions } from "./backend.ts";

function refuse(message: string, param?: string): never {
  throw new FathomError("invalid_request", message, param);
}

/** Whether a backend keeps histories, asked for by presence. */
interface CanRecall {
  readonly recall?: Backend["recall"] | undefined;
}

/** @throws {FathomError} invalid_request, context_overflow */
export function checkSequenceOptions(options: SequenceOptions, config: ModelConfig, { recall }: CanRecall = {}): void {
  const { contextLength } = config;
  const { capacity, maxIterations, rows = capacity, prompt = 0 } = options;
  if (!Number.isInteger(capacity) || capacity < 1)
    refuse(`A sequence needs a capacity of at least one position, a whole number, not ${capacity}.`, "capacity");
  if (!Number.isInteger(maxIterations) || maxIterations < 0)
    refuse(`A sequence needs a whole number of iterations of at least 0, not ${maxIterations}.`, "maxIterations");
  if (capacity > contextLength)
    throw new FathomError(
      "context_overflow",
      `A sequence of ${capacity} positions does not fit the model's context of ${contextLength}.`,
      "capacity",
    );
  if (!Number.isInteger(rows) || rows < 1 || rows > capacity)
    refuse(`A sequence of ${capacity} positions has from 1 to ${capacity} rows in flight, not ${rows}.`, "rows");
  if (!Number.isInteger(prompt) || prompt < 0 || prompt > capacity)
    refuse(`A sequence of ${capacity} positions has a prompt of 0 to ${capacity} of them, not ${prompt}.`, "prompt");
  if (options.history !== undefined) checkHistory(options, options.history.iterations, config, recall !== undefined);
}

function checkHistory({ cache: { name, sharing } }: SequenceOptions, iterations: number, config: ModelConfig, hasRecall: boolean): void {
  if (!hasRecall) refuse("This backend keeps no history of its cache; leave `history` out.", "history");
  const isShared = sharing.kind === "cyclic" && sharing.slots === config.coreLayers;
  if (!isShared)
    refuse(`Cache strategy ${name} has no one slot a layer for all iterations to keep the history of; leave \`history\` out.`, "history");
  if (!Number.isInteger(iterations) || iterations < 1)
    refuse(`A history keeps a whole number of iterations, at least 1, not ${iterations}.`, "history");
}

/**
 * A branch's options, its parent's among them. @throws {FathomError} invalid_request, context_overflow
 */
export function branchOptions(
  { length, options, start }: Sequence,
  own: BranchOptions,
  { config, recall }: CanRecall & Pick<Backend, "config">,
): SequenceOptions {
  const { cache } = options;
  const { capacity, attention, rows, prompt, history, from = length, maxIterations = options.maxIterations } = own;
  const all = {
    capacity,
    maxIterations,
    cache,
    ...(history !== undefined && { history }),
    ...(attention !== undefined && { attention }),
    ...(rows !== undefined && { rows }),
    ...(prompt !== undefined && { prompt }),
  };
  checkSequenceOptions(all, config, { recall });
  if (from !== length || maxIterations !== options.maxIterations) {
    if (recall === undefined)
      refuse(
        "A branch begins where its parent ends and runs as many iterations on this backend.",
        from === length ? "maxIterations" : "from",
      );
    if (!Number.isInteger(from) || from < Math.max(1, start) || from > length)
      refuse(`A branch begins behind ${Math.max(1, start)} to ${length} positions of its parent, not ${from}.`, "from");
  }
  if (from + capacity > config.contextLength)
    throw new FathomError(
      "context_overflow",
      `A branch of ${capacity} positions behind its parent's ${from} does not fit the model's context of ${config.contextLength}.`,
      "capacity",
    );
  return all;
}

/** @throws {FathomError} invalid_request */
export function checkRecall({ parent, start }: Sequence, iterations: ArrayLike<number> | undefined): void {
  if (parent === undefined) refuse("A sequence that is no branch inherits nothing to recall.", "sequence");
  if (iterations === undefined) return;
  if (iterations.length > start) refuse(`A branch that inherits ${start} positions cannot recall ${iterations.length}.`, "iterations");
  for (let p = 0; p < iterations.length; p++)
    if (!(Number.isInteger(iterations[p]) && iterations[p]! >= 1))
      refuse(`What is recalled has run whole iterations, at least 1, not ${iterations[p]}.`, "iterations");
}

/** @throws {FathomError} token_out_of_range */
export function checkToken(token: number, { vocabSize }: ModelConfig, param = "token"): void {
  if (!Number.isInteger(token) || token < 0 || token >= vocabSize)
    throw new FathomError("token_out_of_range", `Token ${token} is outside the vocabulary of ${vocabSize}.`, param);
}

/**
 * A vector that a row is given.
 * @param what its name in messages, e.g. "An initial state"
 * @throws {FathomError} invalid_request for another length, or a number that is not finite
 */
export function checkVector(values: Float32Array, { width }: ModelConfig, what: string, param: string): void {
  if (values.length !== width) refuse(`${what} has ${values.length} elements; the model's width is ${width}.`, param);
  const bad = values.find((v) => !Number.isFinite(v));
  if (bad !== undefined) refuse(`${what} holds ${bad}; give finite numbers.`, param);
}

/** An initial state that a row is given. @throws {FathomError} invalid_request */
export function checkState(state: Float32Array, config: ModelConfig): void {
  if (config.recurrence.injection === "none")
    refuse("This model's iterations begin with the token's own embedding; it takes no initial state. Leave it out.", "state");
  checkVector(state, config, "An initial state", "state");
}

/** @throws {FathomError} invalid_request where a call is wider than the backend takes */
export function checkRowCount(count: number, { name, maxRows }: Pick<Backend, "name" | "maxRows">): void {
  if (count > maxRows)
    refuse(`A call of ${count} rows is too wide: the ${name} backend takes ${maxRows} here. Make several calls of it.`, "rows");
}

/** @throws {FathomError} invalid_request where a call names a row twice */
export function checkDistinct(rows: readonly Row[]): void {
  if (isAscending(rows)) return;
  const seen = new Set<Row>();
  for (const row of rows) {
    if (seen.has(row)) refuse(`The row at position ${row.position} is in the call twice.`, "rows");
    seen.add(row);
  }
}

/** Whether rows are a stretch of one sequence, as a prompt's are: then they are distinct, and nothing has to be remembered. */
function isAscending(rows: readonly Row[]): boolean {
  for (let i = 1; i < rows.length; i++)
    if (rows[i]!.sequence !== rows[i - 1]!.sequence || rows[i]!.position <= rows[i - 1]!.position) return false;
  return true;
}

/** @throws {FathomError} invalid_request where a row has run all iterations that its sequence was opened for */
export function checkIterations(rows: readonly Row[]): void {
  for (const { sequence, position, iterations } of rows)
    if (iterations >= sequence.options.maxIterations)
      refuse(
        `The sequence was opened for ${sequence.options.maxIterations} iterations; position ${position} has run them all.`,
        "maxIterations",
      );
}

/** @throws {FathomError} invalid_request where heads are not a subset of the rows */
export function checkHeads(rows: readonly Row[], heads: readonly Row[]): void {
  if (heads === rows) return; // as a token's one row is
  checkDistinct(heads);
  const missing = new Set(heads); // rows are many, heads mostly one
  for (const row of rows) missing.delete(row);
  for (const head of missing) refuse(`The head at position ${head.position} is not among the rows of its readout.`, "heads");
}

/** @throws {FathomError} invalid_request where a sequence does not keep what its rows attend to */
export function checkAttention(rows: readonly Row[]): void {
  if (rows.some(({ sequence }) => sequence.options.attention !== true))
    refuse("The sequence was not opened with `attention`, so it does not keep what its rows attend to.", "attention");
}

/** @throws {FathomError} invalid_request where `moved` does not reach as far as the rows look */
export function checkMoved(rows: readonly Row[], moved: Float32Array): void {
  for (const { position } of rows)
    if (moved.length <= position)
      refuse(`Movements of ${moved.length} positions do not reach as far as the row at position ${position} looks.`, "moved");
}

/** @throws {FathomError} invalid_request */
export function checkLength(length: number): void {
  if (!Number.isInteger(length) || length < 0)
    refuse(`A sequence is cut to a whole number of positions of at least 0, not ${length}.`, "length");
}

/** The error for `headInput` of a row that the last readout of it did not ask the head of. */
export function noHead({ position }: Row): FathomError {
  return new FathomError("invalid_request", `The row at position ${position} was no head of its last readout; read it out as one.`, "row");
}

/**
 * Errors as data: every failure that a caller can cause or must handle has a code, and a message that names what is
 * wrong, what was expected and what to do. Floors above translate codes (HTTP status, exit status), never texts.
 */

/** One line a code: when it happens. */
export type FathomErrorCode =
  | "invalid_checkpoint" // a model file is truncated, lies about its tensors, or holds a type that is not supported
  | "invalid_config" // config.json is missing a field, holds an impossible value, or does not fit the tensors
  | "invalid_tokenizer" // tokenizer.json cannot be read or does not fit the vocabulary
  | "invalid_card" // card.json is not of the documented form
  | "invalid_template" // the chat template fails on messages that it should take, or goes beyond its bounds
  | "invalid_request" // an argument is out of its range or of the wrong type
  | "empty_prompt" // nothing to answer
  | "context_overflow" // prompt and completion do not fit the model's context
  | "token_out_of_range" // a token id outside the vocabulary
  | "budget_infeasible" // the budget does not cover the least that the request needs; nothing was computed
  | "budget_exhausted" // the budget ran out midway and the request asked for an error then
  | "out_of_memory" // the backend's memory limit would be exceeded; nothing was allocated
  | "not_finite" // computed values are NaN or infinite: damaged weights, or an overflow
  | "missing_cache" // a cache strategy found no keys for a position (the reference raises, too)
  | "unavailable"; // the backend cannot run on this host

/** What else is known of a failure, beside its message. */
export interface FathomErrorOptions extends ErrorOptions {
  /** Trying again may help: a stream ended early, a server was overloaded. [default false] */
  readonly isTransient?: boolean | undefined;
}

/** An error that says by its code whose fault it is, and in its message what was wrong, what was expected and what to do. */
export class FathomError extends Error {
  override readonly name = "FathomError";
  readonly code: FathomErrorCode;
  /** The argument, field or tensor at fault, where there is one. */
  readonly param: string | undefined;
  /** Trying again may help. */
  readonly isTransient: boolean;

  constructor(code: FathomErrorCode, message: string, param?: string, { isTransient = false, ...options }: FathomErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.param = param;
    this.isTransient = isTransient;
  }
}

/** A request that has no room even where it is the only one: waiting does not help, asking for less does. */
export class TooLargeError extends FathomError {
  constructor(message: string, param?: string, options?: ErrorOptions) {
    super("out_of_memory", message, param, options);
  }
}

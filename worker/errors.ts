/**
 * What went wrong, as HTTP says it: status, code, parameter. Translates the engine's codes; what is the model's or the
 * server's own fault tells the caller nothing of its inside, and keeps the cause for the log (faults.ts). Not here: how
 * OpenAI writes an error (openai.ts).
 */
import { InfeasibleError, type Minimum } from "../engine/budget/grant.ts";
import { FathomError, TooLargeError, type FathomErrorCode } from "../engine/errors.ts";

export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 499 | 500 | 503;

export interface ApiErrorOptions extends ErrorOptions {
  /** The least budget that would do, where that was the failure. */
  readonly minimum?: Minimum | undefined;
  /** When to try again, in seconds. [default 1 for status 503] */
  readonly retryAfterSeconds?: number | undefined;
}

/** A failure that is the caller's to see: `message` says what is wrong, what was expected and what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly code: string;
  /** The field at fault, e.g. `budget.iterations`. */
  readonly param: string | undefined;
  readonly minimum: Minimum | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: ErrorStatus,
    code: string,
    message: string,
    param?: string,
    { minimum, retryAfterSeconds, ...options }: ApiErrorOptions = {},
  ) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.param = param;
    this.minimum = minimum;
    this.retryAfterSeconds = retryAfterSeconds ?? (status === 503 ? 1 : undefined);
  }
}

/** Statuses of the codes whose message is meant for the caller. The others are the deployment's fault. */
const STATUS: Readonly<Partial<Record<FathomErrorCode, { status: ErrorStatus; code: string }>>> = {
  invalid_request: { status: 400, code: "invalid_value" },
  empty_prompt: { status: 400, code: "empty_prompt" },
  context_overflow: { status: 400, code: "context_length_exceeded" },
  token_out_of_range: { status: 400, code: "token_out_of_range" },
  budget_infeasible: { status: 422, code: "budget_infeasible" },
  budget_exhausted: { status: 422, code: "budget_exhausted" },
  out_of_memory: { status: 503, code: "out_of_memory" },
};

/** Faults of the model's own files, which show when a request meets them. */
const MODEL_FAULTS: readonly FathomErrorCode[] = [
  "invalid_checkpoint",
  "invalid_config",
  "invalid_tokenizer",
  "invalid_card",
  "invalid_template",
  "missing_cache",
  "not_finite",
];

/** What the caller is told of any error. The cause of a fault stays in `cause`, for the log alone. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof TooLargeError) return new ApiError(400, "context_length_exceeded", error.message, error.param, { cause: error });
  const code = error instanceof FathomError ? error.code : undefined;
  const known = code === undefined ? undefined : STATUS[code];
  if (error instanceof FathomError && known !== undefined)
    return new ApiError(known.status, known.code, error.message, error.param, {
      minimum: error instanceof InfeasibleError ? error.minimum : undefined,
    });
  if (code === "unavailable") return modelUnavailable(error);
  if (code !== undefined && MODEL_FAULTS.includes(code))
    return new ApiError(500, "model_error", "The model on this server is faulty; its operator finds the reason in the log.", undefined, {
      cause: error,
    });
  return new ApiError(500, "internal_error", "The server failed to answer; report it with the x-request-id of this response.", undefined, {
    cause: error,
  });
}

/** 503: the model cannot be used now; nothing of the reason is told. */
export function modelUnavailable(cause: unknown, retryAfterSeconds?: number): ApiError {
  const message = "The model cannot be loaded on this server now; its operator finds the reason in the log.";
  return new ApiError(503, "model_unavailable", message, undefined, { cause, retryAfterSeconds });
}

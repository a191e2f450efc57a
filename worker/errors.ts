/**
 * What went wrong, as HTTP says it: status, code, parameter. Translates the engine's codes; anything unforeseen becomes
 * a 500 that tells the caller nothing and the log everything. Not here: how OpenAI writes an error (openai.ts).
 */
import { InfeasibleError, type Minimum } from "../engine/budget/grant.ts";
import { FathomError, type FathomErrorCode } from "../engine/errors.ts";

export type ErrorStatus = 400 | 401 | 404 | 405 | 413 | 422 | 499 | 500 | 503;

/** A failure that is the caller's to see: `message` says what is wrong, what was expected and what to do. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  readonly code: string;
  /** The field at fault, e.g. `budget.iterations`. */
  readonly param: string | undefined;
  /** The least budget that would do, where that was the failure. */
  readonly minimum: Minimum | undefined;

  constructor(status: ErrorStatus, code: string, message: string, param?: string, minimum?: Minimum) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
    this.minimum = minimum;
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

const BROKEN_MODEL: readonly FathomErrorCode[] = [
  "invalid_checkpoint",
  "invalid_config",
  "invalid_tokenizer",
  "invalid_card",
  "unavailable",
];

/** What the caller is told of any error; what it must not see goes to the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof FathomError) {
    const known = STATUS[error.code];
    if (known !== undefined)
      return new ApiError(
        known.status,
        known.code,
        error.message,
        error.param,
        error instanceof InfeasibleError ? error.minimum : undefined,
      );
    console.error(error);
    if (BROKEN_MODEL.includes(error.code))
      return new ApiError(503, "model_unavailable", "The model cannot be loaded on this server; its operator finds the reason in the log.");
    return internalError();
  }
  console.error(error);
  return internalError();
}

function internalError(): ApiError {
  return new ApiError(500, "internal_error", "The server failed to answer. Please report it with the x-request-id of this response.");
}

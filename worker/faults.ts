/**
 * Telling a deployment what failed on its side: the cause behind a 500 or 503, which callers never see. Each failure is
 * told once, however many requests meet it.
 */
import { toApiError, type ApiError } from "./errors.ts";

/** A failure of the model, the host or Fathom itself; a caller's mistakes are none. */
export interface Fault {
  /** What was thrown, with its own `cause`. */
  readonly error: unknown;
  /** The code that the caller was given, e.g. `model_unavailable`. */
  readonly code: string;
  /** The response's x-request-id, where there is one. */
  readonly requestId: string | undefined;
}

/** Turns what was thrown into what the caller is told, and tells the deployment of faults. Never throws. */
export type Explain<Bindings> = (error: unknown, bindings: Bindings, requestId?: string) => ApiError;

export function explainWith<Bindings>(onError: (fault: Fault, bindings: Bindings) => unknown): Explain<Bindings> {
  const reported = new WeakSet<object>();
  return (thrown, bindings, requestId) => {
    const seen = toApiError(thrown);
    const error = seen.cause;
    if (seen.status < 500 || error === undefined || (typeof error === "object" && error !== null && reported.has(error))) return seen;
    if (typeof error === "object" && error !== null) reported.add(error);
    const complain = (failure: unknown): void => console.error("onError failed:", failure, "while telling of", error);
    try {
      Promise.resolve(onError({ error, code: seen.code, requestId }, bindings)).catch(complain);
    } catch (failure) {
      complain(failure);
    }
    return seen;
  };
}

/** The log, where nobody else is told. */
export function logFault({ error, code, requestId }: Fault): void {
  console.error(`${code}${requestId === undefined ? "" : ` in request ${requestId}`}:`, error);
}

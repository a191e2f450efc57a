/**
 * The body of an error. On the routes of decisions one body serves the clients of both APIs: `error` as OpenAI writes it,
 * as everywhere, and beside it `detail`, the parts at fault, as TypeSafe writes them.
 */
import type { Key } from "./check.ts";
import { fieldKeys } from "./decisions/paths.ts";
import type { ApiError } from "./errors.ts";
import { errorObject } from "./openai.ts";

const OF_DECISIONS = /\/v1\/(decisions|systemone)$/;

/** @param path of the request */
export function errorBody(error: ApiError, path: string): object {
  const body = errorObject(error);
  return OF_DECISIONS.test(path) ? { ...body, detail: [{ loc: placeOf(error), msg: error.message, type: error.code }] } : body;
}

function placeOf({ status, param }: ApiError): Key[] {
  if (param !== undefined) return param.startsWith("X-") ? ["header", param] : ["body", ...fieldKeys(param)];
  return status === 400 || status === 422 ? ["body"] : [];
}

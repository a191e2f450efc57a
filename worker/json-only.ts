/**
 * Bodies must say that they are JSON. Pages of other origins can send text/plain, forms and bodies without a type to
 * any server unasked; for application/json a browser asks first, and CORS decides.
 */
import type { MiddlewareHandler } from "hono";
import { excerpt } from "./check.ts";
import { ApiError } from "./errors.ts";

/** The media type of JSON, with any parameters, such as a charset. */
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/** Refuses other bodies with 415 unsupported_media_type, before they are read. */
export function jsonOnly(): MiddlewareHandler {
  return async (c, next) => {
    const type = c.req.header("content-type");
    if (JSON_TYPE.test(type ?? "")) return next();
    const sent = type === undefined ? "without a content-type" : `as ${excerpt(type)}`;
    throw new ApiError(415, "unsupported_media_type", `The body must be sent with content-type: application/json, not ${sent}.`);
  };
}

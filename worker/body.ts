/**
 * The body of a request as JSON: not compressed, no larger than allowed, UTF-8, nested no deeper than anyone needs. What
 * it must hold is checked elsewhere (openai.ts).
 */
import type { Context } from "hono";
import { printable } from "./check.ts";
import { ApiError } from "./errors.ts";

/**
 * @param parse throws a SyntaxError where the text is no JSON [default JSON.parse]
 * @throws {ApiError} 400 invalid_json, 413 request_too_large, 415 unsupported_encoding; what `parse` throws of that kind
 */
export async function readJson<T = unknown>(c: Context, maxBytes: number, parse: (text: string) => T = JSON.parse): Promise<T> {
  refuseEncoded(c);
  const bytes = await readBytes(c, maxBytes);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw new ApiError(400, "invalid_json", "The body is not UTF-8 text; send JSON in UTF-8.", undefined, { cause });
  }
  try {
    return parse(text);
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    throw new ApiError(400, "invalid_json", `The body is not JSON: ${printable((cause as Error).message)}.`, undefined, { cause });
  }
}

/** A small body may unpack to a very large one; JSON of a megabyte needs no packing. */
function refuseEncoded(c: Context): void {
  const encoding = c.req.header("content-encoding")?.trim().toLowerCase();
  if (encoding === undefined || encoding === "" || encoding === "identity") return;
  c.header("Accept-Encoding", "identity");
  throw new ApiError(415, "unsupported_encoding", `Content-Encoding ${printable(encoding)} is not read here; send plain JSON.`);
}

/** Stops reading at the limit and lets go of the body, so that a host can still read away what is left of it. */
async function readBytes(c: Context, maxBytes: number): Promise<ArrayBuffer> {
  const announced = Number(c.req.header("content-length") ?? NaN);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (announced >= 0 && c.req.header("transfer-encoding") === undefined) return c.req.arrayBuffer();
  const reader = c.req.raw.body?.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    for (let step = await reader?.read(); step?.done === false; step = await reader?.read()) {
      size += step.value.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      chunks.push(step.value as Uint8Array<ArrayBuffer>);
    }
  } finally {
    reader?.releaseLock();
  }
  return new Blob(chunks).arrayBuffer();
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, "request_too_large", `The body is larger than the ${maxBytes} bytes that this server reads.`);
}

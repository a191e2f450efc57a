/**
 * The two routes that generate: reads the body, runs the completion, answers in one piece or as a stream. When the
 * caller goes away, the completion ends at the next token and gives its memory back.
 */
import type { Context, Handler } from "hono";
import { streamSSE } from "hono/streaming";
import type { Limits } from "./budget.ts";
import type { Catalogue } from "./catalogue.ts";
import { complete, type CompletionPiece, type CompletionReport } from "./complete.ts";
import { ApiError } from "./errors.ts";
import { hostOf } from "./host.ts";
import { chunkObjects, completionObject, parseRequest, responseHead, type Endpoint } from "./openai.ts";
import { eventData } from "./stream.ts";

export interface CompletionOptions<Bindings extends object> {
  readonly catalogue: Catalogue<Bindings>;
  readonly limits: Limits;
  readonly breathe: () => Promise<void>;
}

export function completionHandler<Bindings extends object>(
  endpoint: Endpoint,
  { catalogue, limits, breathe }: CompletionOptions<Bindings>,
): Handler<{ Bindings: Bindings }> {
  return async (c) => {
    refuseBudgetHeader(c);
    const request = parseRequest(endpoint, await readJson(c));
    const host = hostOf(c);
    const { id, model } = await catalogue.find(request.model, c.env, host);
    const head = responseHead(endpoint, id);
    const stop = new AbortController();
    onDisconnect(c, () => stop.abort());
    const pieces = complete(model, request, { limits, breathe, signal: stop.signal });
    if (!request.stream) {
      const work = collect(pieces);
      host.waitUntil(work);
      const { text, report } = await work;
      return c.json(completionObject(endpoint, head, text, report));
    }

    // The first token comes before the headers: what is wrong with a request is then an HTTP status, not an event.
    const chunks = chunkObjects(endpoint, head, pieces, request.includeUsage);
    const finished = Promise.withResolvers<void>();
    host.waitUntil(finished.promise);
    const first = await chunks.next().catch((error: unknown) => {
      finished.resolve();
      throw error;
    });
    return streamSSE(c, async (stream) => {
      stream.onAbort(() => stop.abort());
      onDisconnect(c, () => stream.abort());
      for await (const data of eventData(first, chunks, stop.signal)) {
        if (stop.signal.aborted) break;
        await stream.writeSSE({ data });
      }
      finished.resolve();
    });
  };
}

/** A body that is JSON. @throws {ApiError} 400 invalid_json */
async function readJson(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, "invalid_json", `The body is not JSON: ${(error as Error).message}.`);
  }
}

/** A caller that sends one relies on it. */
function refuseBudgetHeader(c: Context): void {
  if (c.req.header("x-budget") !== undefined)
    throw new ApiError(
      400,
      "unsupported_parameter",
      "The header X-Budget is not supported by this version; give the budget in the body.",
      "X-Budget",
    );
}

/** Workers fire this with the compatibility flag enable_request_signal alone. */
function onDisconnect(c: Context, listener: () => void): void {
  const { signal } = c.req.raw;
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
}

/** @throws {ApiError} 499 when the caller has gone: nobody will read it */
async function collect(pieces: AsyncIterable<CompletionPiece>): Promise<{ text: string; report: CompletionReport }> {
  let text = "";
  for await (const piece of pieces) {
    text += piece.text;
    if (piece.report !== undefined) return { text, report: piece.report };
  }
  throw new ApiError(499, "client_closed_request", "The caller closed the connection.");
}

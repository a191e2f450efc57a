/**
 * The two routes that generate: reads the body, runs the completion, answers in one piece or as a stream. When the
 * caller goes away, the completion ends at the next token and gives its memory back.
 */
import type { Handler } from "hono";
import { stream } from "hono/streaming";
import { bearerKey } from "./auth.ts";
import type { Catalogue } from "./catalogue.ts";
import { readJson } from "./body.ts";
import { callerBudgetsOf, callerOf, clientClosed, onDisconnect } from "./caller.ts";
import { complete } from "./complete.ts";
import type { CompletionPiece, CompletionReport } from "./completion.ts";
import { hostOf } from "./host.ts";
import { chunkObjects, completionObject, parseRequest, responseHead, type Endpoint, type FinishedChoice } from "./openai.ts";
import { serverTiming } from "./server-timing.ts";
import { waitMsOf, withReport, type Service } from "./service.ts";
import { eventData } from "./stream.ts";

/** Headers of an answer in server-sent events. */
const EVENT_STREAM = [
  ["Content-Type", "text/event-stream"],
  ["Transfer-Encoding", "chunked"],
  ["Connection", "keep-alive"],
] as const;

export interface CompletionOptions<Bindings extends object> {
  readonly catalogue: Catalogue<Bindings>;
  readonly service: Service<Bindings>;
}

export function completionHandler<Bindings extends object>(
  endpoint: Endpoint,
  { catalogue, service }: CompletionOptions<Bindings>,
): Handler<{ Bindings: Bindings }> {
  return async (c) => {
    const entry = c.get("fathomEntry");
    const callerBudgets = await callerBudgetsOf(c, service);
    const request = parseRequest(endpoint, await readJson(c, service.limits.maxBodyBytes));
    const host = hostOf(c);
    const { id, model, release } = await catalogue.find(request.model, {
      bindings: c.env,
      host,
      waitMs: waitMsOf(request, service, entry.arrivedMs, callerBudgets),
    });
    const head = responseHead(endpoint, id);
    const stop = new AbortController();
    onDisconnect(c, () => stop.abort());
    const caller = callerOf(c);
    const operation = endpoint === "chat" ? "chat" : "text_completion";
    const pieces = withReport(
      complete(model, request, { ...service, entry, callerBudgets, caller, key: bearerKey(c), signal: stop.signal }),
      (report) => service.notify({ model: id, backend: model.backend.name, operation, caller, report }, c.env, host),
      release,
    );
    const preferenceApplied = callerBudgets.header?.preferenceApplied;
    if (preferenceApplied !== undefined) c.header("Preference-Applied", preferenceApplied);
    if (!request.stream) {
      const work = collect(pieces);
      host.waitUntil(work);
      const { choices, report } = await work;
      c.header("Server-Timing", serverTiming(report.cost));
      return c.json(completionObject(endpoint, head, choices, report));
    }

    // The first token comes before the headers: what is wrong with a request is then an HTTP status, not an event.
    const chunks = chunkObjects(endpoint, head, pieces, request.includeUsage);
    const finished = Promise.withResolvers<void>();
    host.waitUntil(finished.promise);
    const first = await chunks.next().catch((error: unknown) => {
      finished.resolve();
      throw error;
    });
    for (const [name, value] of EVENT_STREAM) c.header(name, value);
    return stream(c, async (events) => {
      events.onAbort(() => stop.abort());
      onDisconnect(c, () => events.abort());
      for await (const data of eventData(first, chunks, stop.signal, (error) => service.explain(error, c.env, c.get("requestId")))) {
        if (stop.signal.aborted) break;
        await events.write(`data: ${data}\n\n`); // JSON has no line breaks
      }
      finished.resolve();
    });
  };
}

/** @throws {ApiError} 499 when the caller has gone: nobody will read it */
async function collect(pieces: AsyncIterable<CompletionPiece>): Promise<{ choices: FinishedChoice[]; report: CompletionReport }> {
  const choices: FinishedChoice[] = [];
  for await (const { choice, text, finish = "", report } of pieces) {
    choices[choice] = { text: (choices[choice]?.text ?? "") + text, finish };
    if (report !== undefined) return { choices, report };
  }
  throw clientClosed();
}

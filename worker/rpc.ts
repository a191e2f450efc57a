/**
 * Completions for a service binding, in Workers AI's shape: `run(model, inputs)` gives { response, usage },
 * or a stream of server-sent events. A binding is its own authorisation: no keys here.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { AppOptions } from "./app.ts";
import { createCatalogue } from "./catalogue.ts";
import { complete } from "./complete.ts";
import type { CompletionPiece } from "./completion.ts";
import { decideOverBinding, type DecideInputs, type DecideResult, type StateInputs } from "./decisions/binding.ts";
import { enter, type Entry } from "./door.ts";
import { ApiError } from "./errors.ts";
import { costs, parseRequest } from "./openai.ts";
import { checkAppOptions } from "./options.ts";
import { serviceOf, waitMsOf, withReport } from "./service.ts";
import { eventData } from "./stream.ts";
import type { SystemOneObject } from "./wire-decisions.ts";
import type { BudgetObject, ChatBody, TextBody, UsageObject } from "./wire-types.ts";

/** The body of /v1/chat/completions (with `messages`) or of /v1/completions (with `prompt`), less the model. */
export type RunInputs = Omit<ChatBody, "model"> | Omit<TextBody, "model">;

/** One completion of a request. */
export interface RunChoice {
  readonly response: string;
  readonly finish_reason: string;
}

/** What `run` gives where no stream was asked for. */
export interface RunResult extends RunChoice {
  /** Where `n` asked for several completions: all of them, the first again among them. */
  readonly choices?: readonly RunChoice[];
  readonly usage: UsageObject;
  readonly budget: BudgetObject;
}

export type { DecideInputs, DecideResult, StateInputs };

/** The class that a Worker exports for bindings of other Workers. */
export type EntrypointClass<Bindings> = new (
  ctx: ExecutionContext,
  env: Bindings,
) => WorkerEntrypoint<Bindings> & {
  /** A stream of server-sent events, as `stream` gives it. */
  run(name: string, inputs: RunInputs & { readonly stream: true }): Promise<ReadableStream<Uint8Array>>;
  /** An answer in one piece. */
  run(name: string, inputs: RunInputs): Promise<RunResult>;
  /** Pieces of an answer as server-sent events, the last with `usage` and `budget`. */
  stream(name: string, inputs: RunInputs): Promise<ReadableStream<Uint8Array>>;
  /** Probabilities, in the shape of /v1/systemone, to a `state` with questions by name. */
  decide(name: string, inputs: StateInputs): Promise<SystemOneObject>;
  /** Probabilities, in the shape of /v1/decisions, to an `input` with a list of questions. */
  decide(name: string, inputs: DecideInputs): Promise<DecideResult>;
};

/**
 * Creates the class to export from a Worker beside its app. A class of one's own may extend it.
 *
 * @param {AppOptions} options - As for createApp, and checked as there; keys, hosts and CORS do not apply.
 * @throws {TypeError} naming the option that is wrong
 *
 * @example
 * ```ts
 * export class Fathom extends createEntrypoint({ model: nano }) {}
 * // in a Worker with a service binding FATHOM to the entrypoint "Fathom":
 * const { response } = await env.FATHOM.run("nano", { messages: [{ role: "user", content: "..." }] });
 * const { answers } = await env.FATHOM.decide("nano", { input: "...", questions: [{ type: "predicate", instructions: "..." }] });
 * ```
 */
export function createEntrypoint<Bindings extends object>(options: AppOptions<Bindings>): EntrypointClass<Bindings> {
  const checked = checkAppOptions("createEntrypoint", options);
  const service = serviceOf(checked);
  const catalogue = createCatalogue(checked);
  const decideFor = decideOverBinding({ catalogue, service });
  return class extends WorkerEntrypoint<Bindings> {
    async stream(name: string, inputs: RunInputs): Promise<ReadableStream<Uint8Array>> {
      return (await this.run(name, { ...inputs, stream: true })) as ReadableStream<Uint8Array>;
    }

    run(name: string, inputs: RunInputs): Promise<any> {
      return this.#counted((entry) => this.#run(name, inputs, entry));
    }

    decide(name: string, inputs: DecideInputs | StateInputs): Promise<any> {
      return this.#counted((entry) => decideFor(this.env, this.ctx, name, inputs, entry));
    }

    async #counted<Result>(work: (entry: Entry) => Promise<Result>): Promise<Result> {
      const entry = await enter(service);
      try {
        return await work(entry);
      } catch (error) {
        throw withoutCause(this.#explain(error));
      } finally {
        entry.judged();
      }
    }

    #explain(error: unknown): ApiError {
      return service.explain(error, this.env);
    }

    async #run(name: string, inputs: RunInputs, entry: Entry): Promise<RunResult | ReadableStream<Uint8Array>> {
      const endpoint = typeof inputs === "object" && inputs !== null && "messages" in inputs ? "chat" : "text";
      const request = parseRequest(endpoint, { ...inputs, model: name });
      const waitMs = waitMsOf(request, service, entry.arrivedMs);
      const { id, model, release } = await catalogue.find(name, { bindings: this.env, host: this.ctx, waitMs });
      const stop = new AbortController();
      const operation = endpoint === "chat" ? "chat" : "text_completion";
      const pieces = withReport(
        complete(model, request, { ...service, entry, signal: stop.signal }),
        (report) => service.notify({ model: id, backend: model.backend.name, operation, report }, this.env, this.ctx),
        release,
      );
      const parts = resultParts(pieces, request.choices);
      if (!request.stream) {
        const work = join(parts, request.choices);
        this.ctx.waitUntil(work.catch(() => undefined));
        return work;
      }
      const lines = eventData(await parts.next(), parts, stop.signal, (error) => this.#explain(error));
      const { readable, writable } = new IdentityTransformStream();
      this.ctx.waitUntil(write(lines, writable));
      return readable;
    }
  };
}

/** What crosses a binding: it could carry a cause along. */
function withoutCause({ status, code, message, param, minimum, retryAfterSeconds }: ApiError): ApiError {
  return new ApiError(status, code, message, param, { minimum, retryAfterSeconds });
}

/** A part of a streamed result; the last one carries everything but the text before it. */
interface RunPart extends Partial<Omit<RunResult, "choices">> {
  readonly response: string;
  /** Which of several completions it belongs to. */
  readonly index?: number;
}

/** @param count of completions; parts of several say which they belong to */
async function* resultParts(pieces: AsyncIterable<CompletionPiece>, count: number): AsyncGenerator<RunPart> {
  for await (const { choice, text, finish, report } of pieces) {
    if (text === "" && finish === undefined) continue;
    yield {
      ...(count > 1 && { index: choice }),
      response: text,
      ...(finish !== undefined && { finish_reason: finish }),
      ...(report !== undefined && costs(report)),
    };
  }
}

async function join(parts: AsyncIterable<RunPart>, count: number): Promise<RunResult> {
  const choices: RunChoice[] = [];
  for await (const { index = 0, response, finish_reason = "", usage, budget } of parts) {
    choices[index] = { response: (choices[index]?.response ?? "") + response, finish_reason };
    if (usage === undefined || budget === undefined) continue;
    return { ...choices[0]!, ...(count > 1 && { choices }), usage, budget };
  }
  throw new Error("The completion ended without a report.");
}

/** Ends early, and with it the completion, when the reader has gone. */
async function write(lines: AsyncGenerator<string>, writable: WritableStream<Uint8Array>): Promise<void> {
  const encoder = new TextEncoder();
  const writer = writable.getWriter();
  try {
    for await (const line of lines) await writer.write(encoder.encode(`data: ${line}\n\n`));
    await writer.close();
  } catch {
    // eventData does not throw: the reader has cancelled
  }
}

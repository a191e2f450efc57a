/**
 * The one file that knows OpenAI's shapes: bodies of /v1/chat/completions and /v1/completions to a CompletionRequest,
 * results to responses and chunks, errors to error objects. Not here: what a budget means (budget.ts), SSE (stream.ts).
 */
import type { Grant, Minimum } from "../engine/budget/grant.ts";
import { roundUp } from "../engine/budget/plan.ts";
import type { ExitRule } from "../engine/exit-rule.ts";
import * as v from "valibot";
import { EFFORTS } from "../engine/model/card.ts";
import type { ChatMessage } from "../engine/model/tokenizer.ts";
import { check, number, refuseDeep, object, oneOf, wholeNumber } from "./check.ts";
import type { CompletionPiece, CompletionReport, CompletionRequest } from "./completion.ts";
import type { Prompt } from "./prompt-tokens.ts";
import { ApiError } from "./errors.ts";
import type { BudgetObject, ErrorObject, UsageObject } from "./wire-types.ts";
import * as foreign from "./foreign-fields.ts";

export type Endpoint = "chat" | "text";

/** Most completions of a prompt, as in OpenAI's API. */
const MOST_CHOICES = 128;

const MOST_STOPS = 4;
const STOPS = `a text that is not empty, or up to ${MOST_STOPS} of them`;

const stopText = v.pipe(v.string("a text"), v.minLength(1, "a text that is not empty"));
const tokenIds = v.array(wholeNumber(0), "a list of token ids");

const STREAM_OPTIONS = { include_usage: v.nullish(v.boolean("true or false"), false) };

const shared = {
  model: v.string("the name of a model"),
  max_completion_tokens: v.nullish(wholeNumber(1, Infinity)), // the model's context is the bound that matters
  max_tokens: v.nullish(wholeNumber(1, Infinity)),
  temperature: v.nullish(number(0, 2), 0),
  top_p: v.nullish(number(0, 1), 1),
  seed: v.nullish(wholeNumber(Number.MIN_SAFE_INTEGER)),
  n: v.nullish(wholeNumber(1, MOST_CHOICES), 1),
  stop: v.nullish(v.union([stopText, v.pipe(v.array(stopText), v.maxLength(MOST_STOPS, STOPS))], STOPS)),
  stream: v.nullish(v.boolean("true or false"), false),
  stream_options: v.nullish(object(STREAM_OPTIONS, "an object")),
  reasoning_effort: v.nullish(oneOf(EFFORTS)),
  prompt_cache_key: v.nullish(v.string("a text")),
  budget: v.optional(v.unknown()),
};

const TEXT_PART = { type: v.literal("text", '"text"; this model reads nothing else'), text: v.string("a text") };

const MESSAGE = {
  role: oneOf(["system", "developer", "user", "assistant"]),
  content: v.union([v.string(), v.array(object(TEXT_PART, "an object"))], "a text or a list of text parts"),
};

const promptText = v.union(
  [v.string(), v.strictTuple([v.string()]), tokenIds, v.strictTuple([tokenIds])],
  "a text, a list of token ids, or a list of exactly one of these",
);

const FIELDS = {
  chat: { ...shared, messages: v.array(object(MESSAGE, "an object with role and content"), "a list of messages") },
  text: { ...shared, prompt: promptText },
};

/** The bodies of POST /v1/chat/completions and /v1/completions. */
export const BODIES = { chat: object(FIELDS.chat, "a JSON object"), text: object(FIELDS.text, "a JSON object") };

/** Checks a body; the budget's own fields are checked later, against the model. @throws {ApiError} 400 with the field */
export function parseRequest(endpoint: Endpoint, json: unknown): CompletionRequest {
  refuseDeep(json);
  if (typeof json === "object" && json !== null && !Array.isArray(json)) foreign.refuseForeign(foreign.BODY, FIELDS[endpoint], json);
  const parsed = endpoint === "chat" ? chatPrompt(check(BODIES.chat, json)) : textPrompt(check(BODIES.text, json));
  refuseForeignWithin(json);
  const { body, prompt } = parsed;
  if (body.stream_options && !body.stream)
    throw new ApiError(400, "invalid_value", "stream_options goes with stream: true alone.", "stream_options");
  const asked = [body.max_completion_tokens, body.max_tokens].filter((n) => typeof n === "number");
  return {
    model: body.model,
    prompt,
    maxTokens: asked.length === 0 ? undefined : Math.min(...asked),
    sampling: { temperature: body.temperature, topP: body.top_p, seed: body.seed ?? (body.temperature === 0 ? 0 : randomSeed()) },
    stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    choices: body.n,
    cacheKey: body.prompt_cache_key ?? undefined,
    stream: body.stream,
    includeUsage: body.stream_options?.include_usage ?? false,
    effort: body.reasoning_effort ?? undefined,
    budget: body.budget,
  };
}

/** Refuses foreign fields of the objects within a body, whose types are checked already. */
function refuseForeignWithin(json: unknown): void {
  const { messages = [], stream_options: options } = json as { messages?: { content: unknown }[]; stream_options?: object | null };
  if (options) foreign.refuseForeign(foreign.STREAM_OPTIONS, STREAM_OPTIONS, options, "stream_options");
  for (const [i, message] of messages.entries()) {
    const path = `messages.${i}`;
    foreign.refuseForeign(foreign.MESSAGE, MESSAGE, message, path);
    if (!Array.isArray(message.content)) continue;
    for (const [j, part] of message.content.entries()) foreign.refuseForeign(foreign.PART, TEXT_PART, part, `${path}.content.${j}`);
  }
}

function chatPrompt(body: v.InferOutput<(typeof BODIES)["chat"]>): { body: typeof body; prompt: Prompt } {
  const messages = body.messages.map(({ role, content }): ChatMessage => ({
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : content.map((part) => part.text).join(""),
  }));
  if (messages.findLast(({ role }) => role === "user")?.content.trim() === "")
    throw new ApiError(400, "empty_prompt", "The last message of the user is empty; give it some text.", "messages");
  return { body, prompt: { kind: "chat", messages } };
}

function textPrompt(body: v.InferOutput<typeof BODIES.text>): { body: typeof body; prompt: Prompt } {
  const given = body.prompt;
  const single = Array.isArray(given) && typeof given[0] !== "number" && given.length === 1 ? given[0] : given;
  return { body, prompt: typeof single === "string" ? { kind: "text", text: single } : { kind: "tokens", tokens: single as number[] } };
}

/** A seed for requests that name none, so that sampling differs from call to call. */
function randomSeed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}

/** What all objects of one response share. */
export interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export function responseHead(endpoint: Endpoint, model: string): ResponseHead {
  const id = `${endpoint === "chat" ? "chatcmpl" : "cmpl"}-${crypto.randomUUID().replaceAll("-", "")}`;
  return { id, created: Math.floor(Date.now() / 1000), model };
}

/** A completion that has ended. */
export interface FinishedChoice {
  readonly text: string;
  readonly finish: string;
}

/** @param choices by their index */
export function completionObject(
  endpoint: Endpoint,
  head: ResponseHead,
  choices: readonly FinishedChoice[],
  report: CompletionReport,
): object {
  const answer = (text: string): object =>
    endpoint === "chat" ? { message: { role: "assistant", content: text, refusal: null } } : { text };
  return {
    ...head,
    object: endpoint === "chat" ? "chat.completion" : "text_completion",
    choices: choices.map(({ text, finish }, index) => ({ index, ...answer(text), logprobs: null, finish_reason: finish })),
    ...costs(report),
  };
}

/** A stream's objects: of each choice its role, pieces of text, the last of them with the finish reason; then the costs where wanted. */
export async function* chunkObjects(
  endpoint: Endpoint,
  head: ResponseHead,
  pieces: AsyncIterable<CompletionPiece>,
  includeUsage: boolean,
): AsyncGenerator<object> {
  const object = endpoint === "chat" ? "chat.completion.chunk" : "text_completion";
  const chunk = (index: number, delta: object, finish: string | null): object => ({
    ...head,
    object,
    choices: [{ index, ...delta, logprobs: null, finish_reason: finish }],
    ...(includeUsage && { usage: null }),
  });
  const begun = new Set<number>();
  for await (const { choice, text, finish, report } of pieces) {
    if (endpoint === "chat" && !begun.has(choice)) yield chunk(choice, { delta: { role: "assistant", content: "", refusal: null } }, null);
    begun.add(choice);
    if (text === "" && finish === undefined) continue;
    const content = endpoint === "chat" ? { delta: text === "" ? {} : { content: text } } : { text };
    yield chunk(choice, content, finish ?? null);
    if (report !== undefined && includeUsage) yield { ...head, object, choices: [], ...costs(report) };
  }
}

/** `usage` and `budget`, for any shape of response. */
export function costs(report: CompletionReport): { usage: UsageObject; budget: BudgetObject } {
  const { promptTokens, cachedTokens, completionTokens, iterations, grant, spending, cost } = report;
  return {
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: cachedTokens },
      completion_tokens_details: { reasoning_tokens: 0 }, // latent iterations are not tokens
      iterations,
      work_units: significant(spending.units),
      cost_usd: significant(cost.costUsd),
    },
    budget: {
      granted: grantObject(grant),
      limited_by: spending.limitedBy,
      exits: { converged: spending.converged, capped: spending.capped },
      latency_ms: significant(cost.latencyMs),
      latency_source: cost.latencySource,
    },
  };
}

/** What was granted; limits that nobody set are left out. */
function grantObject({ budget, iterations, totalIterations, tokens, exit, onExhausted, units }: Grant): BudgetObject["granted"] {
  return {
    ...(budget.latencyMs !== undefined && { latency_ms: budget.latencyMs }),
    ...(budget.costUsd !== undefined && { cost_usd: budget.costUsd }),
    iterations,
    ...(Number.isFinite(totalIterations) && { total_iterations: totalIterations }),
    ...(budget.minQuality !== undefined && { min_quality: budget.minQuality }),
    max_completion_tokens: tokens,
    exit: exitObject(exit),
    on_exhausted: onExhausted,
    ...(Number.isFinite(units) && { work_units: significant(units) }),
  };
}

/** Six digits: more would claim to be measured. */
function significant(value: number): number {
  return Number(value.toPrecision(6));
}

/** An exit rule as requests and responses write it. */
export function exitObject({ criterion, threshold, wake, minIterations = 0 }: ExitRule): BudgetObject["granted"]["exit"] {
  return { criterion, threshold, ...(wake !== undefined && { wake }), min_iterations: minIterations };
}

export function errorObject({ status, message, param, code, minimum }: ApiError): ErrorObject {
  const type = status >= 500 ? "server_error" : "invalid_request_error";
  return { error: { message, type, param: param ?? null, code, ...(minimum && { minimum: minimumObject(minimum) }) } };
}

/** The least budget that would do, as JSON; rounded upwards, as what is named must be enough. */
function minimumObject({ units, latencyMs, costUsd, totalIterations }: Minimum): NonNullable<ErrorObject["error"]["minimum"]> {
  return {
    ...(latencyMs !== undefined && { latency_ms: roundUp(latencyMs) }),
    ...(costUsd !== undefined && { cost_usd: roundUp(costUsd) }),
    ...(totalIterations !== undefined && { total_iterations: totalIterations }),
    ...(units > 0 && { work_units: roundUp(units) }),
  };
}

export function modelObject(id: string, created: number, details: object = {}): object {
  return { id, object: "model", created, owned_by: "fathom", ...details };
}

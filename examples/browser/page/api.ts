/**
 * What the page asks the server: its models, answers as a stream, decisions; and the same request as a curl command.
 */

import type { PromptForm } from "../../../engine/model/forms.ts";

/** How the page reaches the server. */
export interface Api {
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** The bearer key that was typed; empty for none. */
  key(): string;
}

/** What a request may spend. */
export interface Settings {
  readonly iterations: number;
  readonly latencyMs?: number;
  readonly costUsd?: number;
}

/** What of GET /v1/models/{id} the page shows. */
export interface ModelDetails {
  readonly id: string;
  readonly description: string;
  readonly forms?: readonly PromptForm[];
  readonly backend: string;
  readonly context_length: number;
  readonly iterations: { readonly default: number; readonly max: number };
  readonly cost: { readonly ms_per_unit: { readonly p50: number }; readonly measured_at?: string };
  readonly quality: readonly QualityRow[];
}

export interface QualityRow {
  readonly task: string;
  readonly level?: number;
  readonly n: number;
  readonly accuracy: Readonly<Record<string, number>>;
  readonly with_exit?: { readonly accuracy: number; readonly mean_iterations: number };
}

/** What a request spent, as answers and decisions say it. */
export interface Spent {
  readonly iterations: { readonly total: number; readonly mean: number; readonly max: number; readonly saved: number };
  readonly costUsd: number;
  readonly latencyMs: number;
  /** What ended or shortened it; null: nothing. */
  readonly limitedBy: string | null;
}

export interface ServerDecision {
  readonly probabilities: readonly number[];
  /** How well the best option fits by itself. */
  readonly fit: number;
  readonly abstained: boolean;
  readonly settledAt: number;
  readonly spent: Spent;
}

/** The server's refusal, in its own words. */
export class ServerError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const CHAT = "/v1/chat/completions";
export const DECISIONS = "/v1/decisions";

export function budgetOf({ iterations, latencyMs, costUsd }: Settings): object {
  return { iterations, ...(latencyMs !== undefined && { latency_ms: latencyMs }), ...(costUsd !== undefined && { cost_usd: costUsd }) };
}

export function chatBody(model: string, question: string, settings: Settings): object {
  return { model, messages: [{ role: "user", content: question }], budget: budgetOf(settings) };
}

/** @param options none: whether the statement is true */
export function decisionBody(model: string, input: string, instructions: string, options: readonly string[], settings: Settings): object {
  const question =
    options.length > 0
      ? { type: "choice", instructions, choices: options.map((value) => ({ value })) }
      : { type: "predicate", instructions };
  return { model, input, questions: [question], budget: budgetOf(settings) };
}

/** A command that sends the same request from a shell. */
export function curlCommand(origin: string, path: string, body: object, hasKey: boolean): string {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`);
  const key = hasKey ? " -H 'authorization: Bearer YOUR_KEY'" : "";
  return `curl ${origin}${path} -H 'content-type: application/json'${key} -d '${quoted}'`;
}

/** @throws {ServerError} */
async function send(api: Api, path: string, body?: object, signal?: AbortSignal): Promise<Response> {
  const key = api.key();
  const response = await api.fetch(path, {
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...(key !== "" && { authorization: `Bearer ${key}` }) },
    ...(signal !== undefined && { signal }),
  });
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))) as { error?: { message?: string } };
  throw new ServerError(response.status, said.error?.message ?? `The server answers ${response.status}.`);
}

/** The first model that the server has. @throws {ServerError} */
export async function firstModel(api: Api): Promise<ModelDetails> {
  const { data } = (await (await send(api, "/v1/models")).json()) as { data: readonly [{ id: string }] };
  return (await (await send(api, `/v1/models/${encodeURIComponent(data[0].id)}`)).json()) as ModelDetails;
}

/** Text as it comes, and at the end what was spent. @throws {ServerError} */
export async function* streamChat(api: Api, body: object, signal: AbortSignal): AsyncGenerator<string | Spent, void, undefined> {
  const response = await send(api, CHAT, { ...body, stream: true, stream_options: { include_usage: true } }, signal);
  for await (const data of eventsOf(response.body!)) {
    if (data === "[DONE]") return;
    const { error, choices = [], usage, budget } = JSON.parse(data) as ChatChunk;
    if (error !== undefined) throw new ServerError(200, error.message);
    const text = choices[0]?.delta.content;
    if (text !== undefined && text !== "") yield text;
    if (usage?.iterations !== undefined) yield spentOf({ ...usage, ...budget! });
  }
}

interface Costs {
  readonly iterations: Spent["iterations"];
  readonly cost_usd: number;
  readonly latency_ms: number;
  readonly limited_by: string | null;
}

interface ChatChunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: Pick<Costs, "iterations" | "cost_usd">;
  readonly budget?: Pick<Costs, "latency_ms" | "limited_by">;
}

function spentOf({ iterations, cost_usd, latency_ms, limited_by }: Costs): Spent {
  return { iterations, costUsd: cost_usd, latencyMs: latency_ms, limitedBy: limited_by };
}

/** The data of server-sent events. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let held = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    held += decoder.decode(part.value, { stream: true });
    const events = held.split("\n\n");
    held = events.pop()!;
    for (const event of events) if (event.startsWith("data: ")) yield event.slice("data: ".length);
  }
}

/** @throws {ServerError} */
export async function askDecision(api: Api, body: object, signal: AbortSignal): Promise<ServerDecision> {
  const { answers, x_budget } = (await (await send(api, DECISIONS, body, signal)).json()) as {
    readonly answers: readonly [Answer];
    readonly x_budget: Costs;
  };
  const [{ probabilities, probability, x_settled_at, x_fit, x_abstained }] = answers;
  return {
    probabilities: probabilities?.map((option) => option.probability) ?? [probability!],
    fit: x_fit,
    abstained: x_abstained,
    settledAt: x_settled_at,
    spent: spentOf(x_budget),
  };
}

/** A choice has probabilities, a predicate one. */
interface Answer {
  readonly probabilities?: readonly { readonly probability: number }[];
  readonly probability?: number;
  readonly x_settled_at: number;
  readonly x_fit: number;
  readonly x_abstained: boolean;
}

/**
 * What the tests of the Worker share: the shipped model, apps around it, an OpenAI client without a network.
 */
import { env, exports } from "cloudflare:workers";
import OpenAI from "openai";
import { answer, type AnswerOptions } from "../../engine/decode/answer.ts";
import { readTokenizer } from "../../engine/model/tokenizer.ts";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { createApp, type AppOptions } from "../../worker/app.ts";
import { assetsFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";

export const { ASSETS, MODEL } = env as unknown as { ASSETS: Fetcher; MODEL: string };

export const SERVER = "https://fathom.test";

/** The shipped model, loaded once a test file. */
export const nano: Model = await loadModel(assetsFolder(ASSETS, MODEL), createWorkerBackend);

/** The same, but it never stops by itself. */
export const endless: Model = { ...nano, config: { ...nano.config, eosTokens: [] } };

/** The shipped model with another template. */
export async function withTemplate(template: string): Promise<Model> {
  const folder = assetsFolder(ASSETS, MODEL);
  const text = await readTokenizer(
    { ...folder, readText: (file) => (file === "chat_template.jinja" ? Promise.resolve(template) : folder.readText(file)) },
    nano.config,
  );
  return { ...nano, text };
}

/** Easy: every correct model of this family answers Yes. */
export const LIAR = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

export type Call = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Calls the Worker as it is deployed: worker/index.ts with wrangler.toml. */
export const worker: Call = (input, init) =>
  (exports as unknown as { default: Fetcher }).default.fetch(input as string, init as RequestInit<RequestInitCfProperties>);

/** Calls an app of one's own options. */
export function app(options: Partial<AppOptions<object>> = {}): Call {
  const created = createApp({ model: nano, ...options });
  return async (input, init) => created.request(input as string, init, env);
}

export function openai(call: Call, apiKey = "unused"): OpenAI {
  return new OpenAI({ baseURL: `${SERVER}/v1`, apiKey, fetch: call as typeof fetch, maxRetries: 0, dangerouslyAllowBrowser: true });
}

/** Posts JSON, or a text as it is. */
export function post(call: Call, path: string, body: unknown): Promise<Response> {
  return call(`${SERVER}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export function chat(body: object = {}): Record<string, unknown> {
  return { model: MODEL, messages: [{ role: "user", content: LIAR }], ...body };
}

/** The engine's own answer, without any server. */
export async function engineAnswer(
  model: Model,
  prompt: string,
  options: Partial<AnswerOptions> = {},
): Promise<{ text: string; iterations: number[] }> {
  const { card } = model;
  let text = "";
  const iterations: number[] = [];
  const defaults = { maxTokens: card.maxCompletionTokens, iterations: card.iterations, exit: card.exitRule, cache: card.cacheStrategy };
  for await (const piece of answer(model, {
    prompt: model.text.encodeChat([{ role: "user", content: prompt }]),
    ...defaults,
    ...options,
  })) {
    text += piece.text;
    if (piece.token !== undefined) iterations.push(piece.token.iterations);
  }
  return { text, iterations };
}

/** The data of a stream's events, `[DONE]` among them. */
export async function events(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));
}

/** A response's `budget` less what the clock says, which no two answers share. */
export function timeless({ latency_ms: _ms, latency_source: _source, ...budget }: any): object {
  return budget;
}

/**
 * What the tests of decisions share: a small random model in branch form behind the Wasm core, under the name that each
 * client asks for, and those clients, unchanged, without a network.
 */
import { createTypeSafeAi } from "@ai-sdk/typesafe-ai";
import { TypeSafeClient } from "@typesafe-ai/sdk";
import { decisionForm } from "../../../engine/model/decisions.ts";
import type { Model } from "../../../engine/port/model.ts";
import type { AppOptions } from "../../../worker/app.ts";
import { createWorkerBackend } from "../../../worker/wasm-backend.ts";
import { smallModel } from "../../decide/small.ts";
import { app, nano, openai, post, SERVER, type Call } from "../support.ts";

export const small = await smallModel("branches", createWorkerBackend);

/** The shipped model, deciding by letters as one does whose card says nothing. */
export const lettered: Model = {
  ...nano,
  decisions: decisionForm({ ...nano.card, decisions: undefined }, nano.config, nano.text),
};

/** Serves the small model, the shipped one beside it, and what TypeSafe's clients ask for. */
export function decider(options: Partial<AppOptions<object>> = {}): Call {
  return app({ model: undefined, models: { small, nano }, aliases: { "jev-latest": "small", "gpt-6-luna": "small" }, ...options });
}

export const decisions = (call: Call) => openai(call).decisions;

export function typeSafe(call: Call): TypeSafeClient {
  return new TypeSafeClient({ baseURL: SERVER, apiKey: "unused", fetch: call as typeof fetch, retry: { maxRetries: 0 } });
}

export const typeSafeAi = (call: Call) =>
  createTypeSafeAi({ baseURL: `${SERVER}/v1`, apiKey: "unused", fetch: call as typeof fetch }).evaluationModel("jev-latest");

/** The body of an answer, whatever its status. */
export async function asked(call: Call, path: string, body: unknown): Promise<{ status: number; body: any }> {
  const response = await post(call, path, body);
  return { status: response.status, body: await response.json() };
}

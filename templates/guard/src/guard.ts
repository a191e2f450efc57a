/**
 * The guard: decides about an input inside this isolate, with few iterations, and thinks longer only where it is in doubt.
 */
import type { Context } from "hono";
import { createApp } from "fathom-edge/worker";
import { model, MODEL } from "./model";
import { allowedBy, FIRST_LOOK, QUESTION, SECOND_LOOK, SURE, type Answer } from "./policy";

/** The API without keys, which only this Worker can call. */
const inside = createApp<Cloudflare.Env>({ model, limits: { maxIterations: SECOND_LOOK, budget: { latencyMs: 2000 } } });

export interface Ruling {
  readonly allowed: boolean;
  /** How probable it is that the input may pass. */
  readonly probability: number;
  /** Core iterations that the last look was allowed. */
  readonly iterations: number;
}

interface Decided {
  readonly answers: readonly [Answer];
}

/** @returns a ruling, or the response that says why there is none: an input that is too long, say */
export async function rule(input: unknown, c: Context<{ Bindings: Cloudflare.Env }>): Promise<Ruling | Response> {
  for (const iterations of [FIRST_LOOK, SECOND_LOOK]) {
    const body = JSON.stringify({ model: MODEL, input, questions: [QUESTION], budget: { iterations } });
    const headers = { "content-type": "application/json" };
    const response = await inside.request("/v1/decisions", { method: "POST", headers, body }, c.env, c.executionCtx);
    if (!response.ok) return response;
    const { answers } = await response.json<Decided>();
    const probability = allowedBy(answers[0]);
    const isSure = probability >= SURE || probability <= 1 - SURE;
    if (isSure || iterations === SECOND_LOOK) return { allowed: probability >= SURE, probability, iterations };
  }
  throw new Error("There is a second look, and it rules.");
}

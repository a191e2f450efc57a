/**
 * A router: POST /route {"input": "..."} is answered with the route that the input belongs to, decided inside this
 * isolate, and what that cost. OpenAI's API is beside it.
 */
import { Hono } from "hono/tiny";
import { bearerAuth } from "hono/bearer-auth";
import { createApp } from "fathom-edge/worker";
import { apiKeys } from "./keys";
import { model, MODEL } from "./model";
import { LEAST_FIT, LEAST_PROBABILITY, QUESTION, ROUTES } from "./routes";

const keys = apiKeys();
const limits = { maxIterations: 64, budget: { latencyMs: 2000 } };

/** The same API without keys, which only this Worker can call. */
const inside = createApp<Cloudflare.Env>({ model, limits });

interface Decided {
  readonly answers: readonly [
    { readonly probabilities: readonly { readonly value: string; readonly probability: number }[]; readonly x_fit: number },
  ];
  readonly x_budget: object;
}

const app = new Hono<{ Bindings: Cloudflare.Env }>();

app.post("/route", bearerAuth({ token: keys }), async (c) => {
  const { input, budget } = await c.req.json<{ input: unknown; budget?: object }>();
  const choices = ROUTES.map(({ option, description }) => ({ value: option, ...(description && { description }) }));
  const question = { type: "choice", choices, instructions: QUESTION };
  const body = JSON.stringify({ model: MODEL, input, questions: [question], ...(budget && { budget }) });
  const headers = { "content-type": "application/json" };
  const response = await inside.request("/v1/decisions", { method: "POST", headers, body }, c.env, c.executionCtx);
  if (!response.ok) return response; // says what is wrong with the input, in OpenAI's form
  const { answers, x_budget } = await response.json<Decided>();
  const [{ probabilities, x_fit: fit }] = answers;
  const { value, probability } = probabilities.toSorted((a, b) => b.probability - a.probability)[0]!;
  const isSure = probability >= LEAST_PROBABILITY && fit >= LEAST_FIT;
  const route = isSure ? ROUTES.find(({ option }) => option === value)!.name : null;
  return c.json({ route, probability, fit, cost: x_budget });
});

app.route("/", createApp<Cloudflare.Env>({ model, limits, apiKeys: keys }));

export default app;

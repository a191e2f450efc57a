/**
 * OpenAI's API over the model: /v1/chat/completions, /v1/completions, /v1/decisions, /v1/models; /health and /ready.
 */
import { createApp } from "fathom-edge/worker";
import { apiKeys } from "./keys";
import { model } from "./model";

export default createApp<Cloudflare.Env>({
  model,
  apiKeys: apiKeys(),
  // What no request may exceed, whatever it asks for.
  limits: { maxIterations: 64, maxCompletionTokens: 256, budget: { latencyMs: 5000 } },
});

/**
 * Keys of which the configuration knows the digests alone, each with what its caller may spend and how often.
 */
import { env } from "cloudflare:workers";
import { loadModel } from "fathom-edge/engine";
import { createApp, type ApiKey } from "fathom-edge/worker";
import { assetsFolder, once } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";

interface Env {
  readonly ASSETS: Fetcher;
  readonly KEYS: readonly ApiKey[];
  readonly RATE: RateLimit;
  readonly RATE_TRIAL: RateLimit;
}

const { KEYS } = env as unknown as Env;

export default createApp<Env>({
  model: once(({ ASSETS }, signal, origin) => loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend)),
  apiKeys: KEYS,
  rates: {
    default: { limiter: ({ RATE }) => RATE, requests: 100, periodSeconds: 60 },
    trial: { limiter: ({ RATE_TRIAL }) => RATE_TRIAL, requests: 3, periodSeconds: 60 },
  },
  // What no request may exceed, whoever sends it.
  limits: { maxIterations: 32, budget: { latencyMs: 5000 } },
});

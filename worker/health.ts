/**
 * Liveness and readiness, kept apart: /health says that the process answers, at once, whatever its models do; /ready says
 * whether requests would be answered, and begins the loads that are due. Neither waits, neither tells why a load failed.
 */
import type { Handler } from "hono";
import type { Backend } from "../engine/port/backend.ts";
import type { CallbackFailures } from "./callbacks.ts";
import type { Catalogue, ModelState } from "./catalogue.ts";
import { hostOf } from "./host.ts";
import type { Service } from "./service.ts";

/** GET /health: always 200, with the state of each model, and how often which of the deployment's functions failed. Starts nothing. */
export function healthHandler<Bindings extends object>(
  catalogue: Catalogue<Bindings>,
  failures: CallbackFailures,
): Handler<{ Bindings: Bindings }> {
  return (c) => {
    const hasFailures = Object.keys(failures.counts).length > 0;
    return c.json({
      status: "ok",
      models: catalogue.states().map(stateObject),
      ...(hasFailures && { callback_failures: failures.counts }),
    });
  };
}

/** GET /ready: 200 once every model can answer, else 503 with Retry-After. */
export function readyHandler<Bindings extends object>(
  catalogue: Catalogue<Bindings>,
  service: Pick<Service<Bindings>, "explain">,
): Handler<{ Bindings: Bindings }> {
  return (c) => {
    catalogue.prepare({ bindings: c.env, host: hostOf(c) }, (error) => void service.explain(error, c.env, c.get("requestId")));
    const models = catalogue.states();
    const waiting = models.filter(({ state: { status } }) => status !== "ready" && status !== "evicted"); // a request would load it again
    const body = { models: models.map(stateObject) };
    if (waiting.length === 0) return c.json({ status: "ready", ...body });
    const failed = waiting.some(({ state }) => state.status === "failed");
    c.header("Retry-After", String(Math.max(...waiting.map(retryAfterSeconds))));
    return c.json({ status: failed ? "failed" : "loading", ...body }, 503);
  };
}

function retryAfterSeconds({ state }: ModelState): number {
  return state.status === "failed" ? Math.max(1, Math.ceil(state.retryInMs / 1000)) : 1;
}

function stateObject({ id, state }: ModelState): object {
  const named = { id: id ?? null, status: state.status };
  if (state.status === "ready") return { ...named, backend: state.model.backend.name, memory: memoryObject(state.model.backend.memory()) };
  if (state.status === "failed") return { ...named, failures: state.failures, retry_after_s: Math.ceil(state.retryInMs / 1000) };
  return named;
}

function memoryObject({ usedBytes, peakBytes, limitBytes }: ReturnType<Backend["memory"]>): object {
  return { used_bytes: usedBytes, peak_bytes: peakBytes, limit_bytes: Number.isFinite(limitBytes) ? limitBytes : null };
}

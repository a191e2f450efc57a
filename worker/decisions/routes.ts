/**
 * The two routes that decide: read the body in their API's shape, run the one executor, answer in the same shape. When
 * the caller goes away, the decision ends at the next iteration and gives its memory back.
 */
import type { Handler, MiddlewareHandler } from "hono";
import { readJson } from "../body.ts";
import { callerBudgetsOf, callerOf, clientClosed, onDisconnect } from "../caller.ts";
import type { Catalogue } from "../catalogue.ts";
import { ApiError, toApiError } from "../errors.ts";
import { hostOf } from "../host.ts";
import { serverTiming } from "../server-timing.ts";
import { waitMsOf, type Service } from "../service.ts";
import { runDecision } from "./execute.ts";
import { parseDecisions } from "./openai.ts";
import type { ParsedDecision } from "./request.ts";
import { parseSent, writeJson, type SentJson } from "./sent-json.ts";
import { parseSystemOne } from "./systemone.ts";

/** An API's shape, and the status that its clients know for a body that is wrong. */
interface Shape {
  readonly parse: (sent: SentJson, model?: string) => ParsedDecision;
  readonly invalidStatus: 400 | 422;
}

export const SHAPES = {
  decisions: { parse: parseDecisions, invalidStatus: 400 },
  systemone: { parse: parseSystemOne, invalidStatus: 422 },
} as const satisfies Record<string, Shape>;

export interface DecisionOptions<Bindings extends object> {
  readonly catalogue: Catalogue<Bindings>;
  readonly service: Service<Bindings>;
}

export function decisionHandler<Bindings extends object>(
  { parse, invalidStatus }: Shape,
  { catalogue, service }: DecisionOptions<Bindings>,
): Handler<{ Bindings: Bindings }> {
  return async (c) => {
    const arrivedMs = service.clock.now();
    const host = hostOf(c);
    let parsed: ParsedDecision | undefined;
    try {
      const callerBudgets = await callerBudgetsOf(c, service);
      parsed = await readJson(c, service.limits.maxBodyBytes, (text) => parse(parseSent(text)));
      const { request, respond } = parsed;
      const waitMs = waitMsOf(request, service, arrivedMs, callerBudgets);
      const { id, model } = await catalogue.find(request.model, { bindings: c.env, host, waitMs });
      const stop = new AbortController();
      onDisconnect(c, () => stop.abort(clientClosed()));
      const work = runDecision(model, request, { ...service, arrivedMs, callerBudgets, caller: callerOf(c), signal: stop.signal });
      host.waitUntil(work);
      const report = await work;
      service.notify({ model: id, backend: model.backend.name, operation: "decision", report }, c.env, host);
      const preferenceApplied = callerBudgets.header?.preferenceApplied;
      if (preferenceApplied !== undefined) c.header("Preference-Applied", preferenceApplied);
      c.header("Server-Timing", serverTiming(report.cost));
      c.header("Content-Type", "application/json");
      return c.body(writeJson(respond(id, report)));
    } catch (error) {
      throw inShape(error, parsed, invalidStatus);
    }
  };
}

/** An error of the caller's as the API's clients know it: by their status, and by their names of the fields. */
function inShape(error: unknown, parsed: ParsedDecision | undefined, invalidStatus: Shape["invalidStatus"]): unknown {
  const { status, code, message, param, cause } = toApiError(error);
  if (status !== 400) return error;
  return new ApiError(invalidStatus, code, message, param && (parsed?.rename?.(param) ?? param), { cause });
}

/** TypeSafe's clients tell this header's value in their errors. */
export function typeSafeRequestId(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    c.res.headers.set("X-TypeSafe-Request-Id", c.get("requestId") as string);
  };
}

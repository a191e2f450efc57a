/**
 * A decision for another Worker, over a service binding: the body of either route, told apart by its fields, and the
 * response of that route as an object. Not here: the entrypoint's class (rpc.ts).
 */
import type { Entry } from "../door.ts";
import { ApiError } from "../errors.ts";
import type { Host } from "../host.ts";
import { waitMsOf } from "../service.ts";
import { runDecision } from "./execute.ts";
import type { Serving } from "../whole-answer.ts";
import { SHAPES } from "./routes.ts";
import { parseSent, writeJson } from "./sent-json.ts";
import type { DecisionsBody, DecisionsObject, SystemOneBody, SystemOneObject } from "../wire-decisions.ts";

/** The body of /v1/decisions, less the model. */
export type DecideInputs = Omit<DecisionsBody, "model">;

/** The body of /v1/systemone, less the model. */
export type StateInputs = Omit<SystemOneBody, "model">;

/** The response of /v1/decisions. */
export type DecideResult = DecisionsObject;

/** @throws {ApiError | FathomError} what the routes answer with, by the function that it gives */
export function decideOverBinding<Bindings extends object>({ catalogue, service }: Serving<Bindings>) {
  return async (
    bindings: Bindings,
    host: Host,
    name: string,
    inputs: DecideInputs | StateInputs,
    entry: Entry,
  ): Promise<DecisionsObject | SystemOneObject> => {
    const { parse } = "state" in Object(inputs) ? SHAPES.systemone : SHAPES.decisions;
    const { request, respond } = parse(parseSent(asJson(inputs)), name);
    const { id, model, release } = await catalogue.find(name, { bindings, host, waitMs: waitMsOf(request, service, entry.arrivedMs) });
    const work = runDecision(model, request, { ...service, entry, signal: new AbortController().signal }).finally(release);
    host.waitUntil(work.catch(() => undefined));
    const report = await work;
    service.notify({ model: id, backend: model.backend.name, operation: "decision", report }, bindings, host);
    return JSON.parse(writeJson(respond(id, report))) as DecisionsObject | SystemOneObject;
  };
}

/** @throws {ApiError} 400 for what JSON cannot write */
function asJson(inputs: unknown): string {
  try {
    return JSON.stringify(inputs) ?? "null";
  } catch (cause) {
    throw new ApiError(400, "invalid_value", "What was given to decide cannot be written as JSON; use plain values.", undefined, { cause });
  }
}

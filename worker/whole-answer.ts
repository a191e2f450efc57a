/**
 * A request that is answered in one piece: budgets, body, model, work, costs, in the order in which each can be refused.
 * When the caller goes away, the work is told so and gives its memory back. Not here: shapes, and the work itself.
 */
import type { Context } from "hono";
import { readJson } from "./body.ts";
import type { BudgetRequest } from "./budget.ts";
import { callerBudgetsOf, callerOf, clientClosed, onDisconnect } from "./caller.ts";
import type { Catalogue } from "./catalogue.ts";
import type { CompletionReport, CompletionSettings } from "./completion.ts";
import type { Model } from "../engine/port/model.ts";
import { hostOf } from "./host.ts";
import { serverTiming } from "./server-timing.ts";
import { waitMsOf, type CompletionEvent, type Service } from "./service.ts";

export interface Serving<Bindings extends object> {
  readonly catalogue: Catalogue<Bindings>;
  readonly service: Service<Bindings>;
}

export interface NamedRequest extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
}

/** What a route does of its own. */
export interface WholeWork<Request extends NamedRequest, Report extends CompletionReport> {
  readonly operation: CompletionEvent["operation"];
  /** Reads the body's text. */
  readonly parse: (text: string) => Request;
  readonly run: (model: Model, request: Request, settings: CompletionSettings) => Promise<Report>;
}

/** @returns the model's own name, and what the work came to; headers that tell costs are set */
export async function answerWhole<Bindings extends object, Request extends NamedRequest, Report extends CompletionReport>(
  c: Context<{ Bindings: Bindings }>,
  { catalogue, service }: Serving<Bindings>,
  { operation, parse, run }: WholeWork<Request, Report>,
): Promise<{ readonly id: string; readonly report: Report }> {
  const entry = c.get("fathomEntry");
  const host = hostOf(c);
  const callerBudgets = await callerBudgetsOf(c, service);
  const request = await readJson(c, service.limits.maxBodyBytes, parse);
  const waitMs = waitMsOf(request, service, entry.arrivedMs, callerBudgets);
  const { id, model, release } = await catalogue.find(request.model, { bindings: c.env, host, waitMs });
  const stop = new AbortController();
  onDisconnect(c, () => stop.abort(clientClosed()));
  const caller = callerOf(c);
  const work = run(model, request, { ...service, entry, callerBudgets, caller, signal: stop.signal }).finally(release);
  host.waitUntil(work);
  const report = await work;
  service.notify({ model: id, backend: model.backend.name, operation, caller, report }, c.env, host);
  const preferenceApplied = callerBudgets.header?.preferenceApplied;
  if (preferenceApplied !== undefined) c.header("Preference-Applied", preferenceApplied);
  c.header("Server-Timing", serverTiming(report.cost));
  return { id, report };
}

/**
 * What a deployment learns of its completions: a data point for Workers Analytics Engine, and a line in the log from
 * which the Tail Worker (tail.ts) calibrates.
 */
import type { CompletionEvent } from "./service.ts";

/** The log line's one key: what the Tail Worker looks for. */
export const WORK_LOG_KEY = "fathom.work";

export interface WorkLog {
  readonly model: string;
  readonly backend: string;
  readonly units: number;
}

/** Units as a log line; other requests of the isolate log their own. */
export function workLine({ model, backend, report }: CompletionEvent): string {
  const log: WorkLog = { model, backend, units: report.spending.units };
  return JSON.stringify({ [WORK_LOG_KEY]: log });
}

/** One point of a dataset, columns as in DATA_POINT; an unlimited grant is -1. */
export function writeDataPoint(
  dataset: Pick<AnalyticsEngineDataset, "writeDataPoint"> | undefined,
  { model, backend, operation, caller = "", report }: CompletionEvent,
): void {
  const { finish, grant, promptTokens, completionTokens, spending, cost } = report;
  dataset?.writeDataPoint({
    indexes: [model],
    blobs: [operation, finish, spending.limitedBy ?? "none", grant.onExhausted, backend, caller],
    doubles: [
      promptTokens,
      completionTokens,
      cost.latencyMs,
      spending.units,
      Number.isFinite(grant.units) ? grant.units : -1,
      spending.iterations,
      spending.rowIterations,
      cost.costUsd,
    ],
  });
}

/** What Analytics Engine's nameless columns hold, by OpenTelemetry's gen_ai names where it has one. */
export const DATA_POINT = {
  index1: "gen_ai.request.model",
  blobs: [
    "gen_ai.operation.name",
    "gen_ai.response.finish_reason",
    "fathom.limited_by",
    "fathom.on_exhausted",
    "fathom.backend",
    "fathom.caller",
  ],
  doubles: [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.server.request.duration_ms",
    "fathom.work_units",
    "fathom.granted_units",
    "fathom.iterations",
    "fathom.row_iterations",
    "fathom.cost_usd",
  ],
} as const;

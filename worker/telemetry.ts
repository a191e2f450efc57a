/**
 * What a deployment learns of its completions: a data point for Workers Analytics Engine, and a line in the log from
 * which the Tail Worker (tail.ts) calibrates.
 */
import { dataPoint } from "../engine/budget/report.ts";
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

export function writeDataPoint(dataset: Pick<AnalyticsEngineDataset, "writeDataPoint"> | undefined, event: CompletionEvent): void {
  const { model, backend, operation, report } = event;
  const { finish, grant, promptTokens, completionTokens, spending, cost } = report;
  dataset?.writeDataPoint(
    dataPoint({
      model,
      backend,
      operation,
      finish,
      onExhausted: grant.onExhausted,
      grantedUnits: grant.units,
      promptTokens,
      completionTokens,
      spending,
      cost,
    }),
  );
}

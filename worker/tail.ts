/**
 * The Tail Worker: true CPU time of every invocation beside the units it logged, gathered to the numbers of a
 * calibration. Where a KV namespace CALIBRATION is bound they are kept there, under the model's and backend's name, in
 * the form of card.json's `calibration`; they always go to this Worker's log. Deployed on its own (wrangler.tail.toml).
 */
import { summariseWork, type WorkSample } from "../engine/budget/calibration.ts";
import { WORK_LOG_KEY, type WorkLog } from "./telemetry.ts";
import { calibrationKey, seriesOf } from "./traffic-series.ts";

interface Bindings {
  readonly CALIBRATION?: Pick<KVNamespace, "put">;
}

/** An invocation as far as it matters here; cpuTime in milliseconds. */
export interface TracedInvocation {
  readonly cpuTime?: number;
  readonly outcome?: string;
  readonly logs?: readonly { readonly message: unknown }[];
}

/** Samples that are kept, and after how many new ones the numbers are given out. */
const WINDOW = 2000;
const EVERY = 100;

/** One model on one backend. */
export interface TrafficSample extends WorkSample {
  readonly series: string;
}

/**
 * The samples in a batch of invocations. An invocation that served several completions, or failed, says nothing of any
 * one of them: its CPU time is shared.
 * @example
 * ```ts
 * const samples = samplesOf(events); // in a Tail Worker of one's own
 * ```
 */
export function samplesOf(invocations: readonly TracedInvocation[]): TrafficSample[] {
  return invocations.flatMap(({ cpuTime, outcome, logs = [] }) => {
    const work = logs.flatMap(({ message }) => [message].flat()).flatMap(workIn);
    const [only] = work;
    if (only === undefined || work.length > 1 || outcome !== "ok" || cpuTime === undefined) return [];
    return [{ series: seriesOf(only), units: only.units, ms: cpuTime }];
  });
}

function workIn(message: unknown): WorkLog[] {
  if (typeof message !== "string" || !message.includes(WORK_LOG_KEY)) return [];
  try {
    const log = (JSON.parse(message) as Record<string, Partial<WorkLog>>)[WORK_LOG_KEY];
    return typeof log?.units === "number" && typeof log.model === "string" && typeof log.backend === "string" ? [log as WorkLog] : [];
  } catch {
    return [];
  }
}

/** Keeps the last samples of every series and gives out their numbers now and then. */
export class TrafficCalibration {
  readonly #samples = new Map<string, { window: WorkSample[]; fresh: number }>();

  /** @returns the series that have new numbers, and those numbers */
  add(samples: readonly TrafficSample[]): { series: string; measured: NonNullable<ReturnType<typeof summariseWork>> }[] {
    for (const { series, ...sample } of samples) {
      const kept = this.#samples.get(series) ?? { window: [], fresh: 0 };
      kept.window.push(sample);
      if (kept.window.length > WINDOW) kept.window.shift();
      kept.fresh++;
      this.#samples.set(series, kept);
    }
    return [...this.#samples].flatMap(([series, kept]) => {
      if (kept.fresh < EVERY) return [];
      kept.fresh = 0;
      const measured = summariseWork(kept.window);
      return measured === undefined ? [] : [{ series, measured }];
    });
  }
}

const traffic = new TrafficCalibration();

/**
 * The Tail Worker itself, to be a Worker's own entry.
 * @example
 * ```ts
 * export { default } from "fathom-edge/worker/tail";
 * ```
 */
export default {
  async tail(events: readonly TracedInvocation[], env: Bindings): Promise<void> {
    for (const { series, measured } of traffic.add(samplesOf(events))) {
      const numbers = { ...measured, backend: series.split("/")[1], host: "traffic", measuredAt: new Date().toISOString().slice(0, 10) };
      console.log(JSON.stringify({ series, ...numbers }));
      await env.CALIBRATION?.put(calibrationKey(series), JSON.stringify(numbers));
    }
  },
};

/**
 * The pace of real traffic: what the Tail Worker measured and keeps in a KV namespace (tail.ts), in place of the numbers
 * that came with the model. Read once a load, so each new isolate has the latest; what is missing, damaged or far from
 * the card's own numbers changes nothing. Not here: measuring it.
 */
import * as v from "valibot";
import { calibrationFor, type Calibration } from "../engine/budget/calibration.ts";
import { positive } from "../engine/options.ts";
import type { Model } from "../engine/port/model.ts";
import { calibrationKey, seriesOf } from "./traffic-series.ts";

/** What is used of a KV binding. */
export interface CalibrationNamespace {
  get(key: string, options: { readonly type: "json"; readonly cacheTtl: number }): Promise<unknown>;
}

/** How far traffic's p95 may be from the card's, as a factor: beyond it is a mistake, or somebody else's numbers. */
const NEAREST = 1 / 4;
const FURTHEST = 16;

/** Seconds that the edge may keep what it read. */
const KEPT_SECONDS = 300;

const measured = v.object({
  msPerUnit: v.pipe(
    v.object({ p50: positive(), p95: positive() }),
    v.check(({ p50, p95 }) => p50 <= p95),
  ),
  samples: v.pipe(v.number(), v.minValue(1)),
  measuredAt: v.string(),
});

/**
 * The model, reckoned with at the pace that a Tail Worker (`fathom-edge/worker/tail`) measured of its traffic.
 * @param namespace the KV namespace that the Tail Worker writes to [default none: the model as it is]
 * @returns the model as it is where there are no numbers, wrong ones, or ones a quarter or sixteen times the card's
 * @example
 * ```ts
 * const nano = once<{ ASSETS: Fetcher; CALIBRATION: KVNamespace }>(async ({ ASSETS, CALIBRATION }, signal, origin) =>
 *   atPaceOfTraffic(await loadModel(assetsFolder(ASSETS, "nano", { signal, origin }), createWorkerBackend), CALIBRATION),
 * );
 * ```
 */
export async function atPaceOfTraffic(model: Model, namespace?: CalibrationNamespace): Promise<Model> {
  if (namespace === undefined) return model;
  const { card, backend } = model;
  const own = calibrationFor(backend.name, card.calibration);
  const key = calibrationKey(seriesOf({ model: card.id, backend: backend.name }));
  try {
    const found: unknown = await namespace.get(key, { type: "json", cacheTtl: KEPT_SECONDS });
    if (found === null) return model;
    const { msPerUnit, samples, measuredAt } = v.parse(measured, found);
    const factor = msPerUnit.p95 / own.msPerUnit.p95;
    if (factor < NEAREST || factor > FURTHEST)
      throw new Error(`it is ${factor.toPrecision(2)} times the card's ${own.msPerUnit.p95} ms a unit`);
    const calibration: Calibration = { ...own, msPerUnit, samples, measuredAt, host: "traffic" };
    return { ...model, card: { ...card, calibration } };
  } catch (error) {
    console.warn(`The pace of traffic in ${key} is not used: ${(error as Error).message}.`);
    return model;
  }
}

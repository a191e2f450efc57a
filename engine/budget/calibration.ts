/**
 * How long a unit of work takes on a host and build: what `fathom calibrate` measures and card.json keeps, and the
 * same numbers from real traffic, where a Tail Worker sees CPU time and logged units. Pure: samples in, numbers out.
 */
import { PLAIN_WEIGHTS, type CostWeights } from "./cost.ts";

/** What work takes on a machine, as measured. */
export interface Calibration {
  /** Milliseconds a unit took: half of the requests were faster than p50, 95 % faster than p95. */
  readonly msPerUnit: { readonly p50: number; readonly p95: number };
  /** Milliseconds of a request beyond its units: tokenising, the first yield. */
  readonly overheadMs: number;
  readonly weights: CostWeights;
  /** Requests measured. */
  readonly samples: number;
  /** ISO date. */
  readonly measuredAt: string;
  /** Backend, e.g. wasm, and its build. */
  readonly backend: string;
  readonly build?: string | undefined;
  /** Where the measurements come from: a processor's name, or "traffic". */
  readonly host?: string | undefined;
}

/** One request's work and how long it took. */
export interface WorkSample {
  readonly units: number;
  readonly ms: number;
}

/**
 * Milliseconds a unit where nothing was measured, on the slow side, so that budgets hold at the price of unspent ones.
 * Twice what this project's own machine took for wasm (21 ms a unit, 2026-11), and thirty times that for plain TypeScript.
 */
const UNMEASURED: Readonly<Record<string, number>> = { wasm: 45, webgpu: 45, onnx: 150, reference: 1400 };

/** A calibration for a backend that nobody has measured. */
export function assumedCalibration(backend: string): Calibration {
  const ms = UNMEASURED[backend] ?? UNMEASURED["reference"]!;
  // what the first measured build had; without them one-row calls would look five times too cheap
  const weights: CostWeights = { ...PLAIN_WEIGHTS, prelude: 1.3, attention: 5, check: 5, gather: 50, call: 4e5 };
  return { msPerUnit: { p50: ms / 2, p95: ms }, overheadMs: 0.5, weights, samples: 0, measuredAt: "", backend };
}

/** The card's calibration where it is of this backend, else an assumed one. */
export function calibrationFor(backend: string, measured: Calibration | undefined): Calibration {
  return measured?.backend === backend ? measured : assumedCalibration(backend);
}

/** Least requests that say anything of a 95th percentile. */
const LEAST_SAMPLES = 20;

/** p50 and p95 of milliseconds a unit; undefined while there are too few samples with any work in them. */
export function summariseWork(samples: readonly WorkSample[], overheadMs = 0): Pick<Calibration, "msPerUnit" | "samples"> | undefined {
  const rates = samples
    .filter(({ units, ms }) => units > 0 && Number.isFinite(units) && Number.isFinite(ms) && ms >= 0)
    .map(({ units, ms }) => Math.max(0, ms - overheadMs) / units);
  if (rates.length < LEAST_SAMPLES) return undefined;
  return { msPerUnit: { p50: quantile(rates, 0.5), p95: quantile(rates, 0.95) }, samples: rates.length };
}

/** The smallest value that a share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/**
 * Non-negative least squares by coordinate descent: `coefficients . features = target`, every residual relative to its
 * target, so that short calls count as much as long ones.
 */
export function fitNonNegative(rows: readonly { readonly features: readonly number[]; readonly target: number }[]): number[] {
  const width = rows[0]?.features.length ?? 0;
  const scaled = rows.filter((row) => row.target > 0).map(({ features, target }) => features.map((f) => f / target));
  const coefficients = Array.from({ length: width }, () => 0);
  const residuals = scaled.map(() => 1);
  for (let sweep = 0; sweep < SWEEPS; sweep++)
    for (let k = 0; k < width; k++) {
      let [along, length] = [0, 0];
      scaled.forEach((features, i) => {
        along += features[k]! * residuals[i]!;
        length += features[k]! ** 2;
      });
      if (length === 0) continue;
      const next = Math.max(0, coefficients[k]! + along / length);
      const step = next - coefficients[k]!;
      coefficients[k] = next;
      scaled.forEach((features, i) => (residuals[i]! -= step * features[k]!));
    }
  return coefficients;
}

/** Sweeps over the coefficients, far beyond what four or five need to converge. */
const SWEEPS = 2000;

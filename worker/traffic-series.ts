/**
 * Whose pace is measured, and where a KV namespace keeps it: what the Tail Worker that writes it (tail.ts) and the Worker
 * that reads it (traffic-calibration.ts) agree on.
 */

/** One model on one backend: what has a pace of its own. */
export function seriesOf({ model, backend }: { readonly model: string; readonly backend: string }): string {
  return `${model}/${backend}`;
}

/** Where a KV namespace keeps the pace of a series. */
export function calibrationKey(series: string): string {
  return `calibration/${series}`;
}

/**
 * Golden records of the forward pass: prelude, states after each iteration, logits at every r, monitors, batch.
 */
import type { Row } from "../../engine/port/backend.ts";
import { probabilities } from "../../engine/decode/exit.ts";
import type { GoldenCase } from "./case.ts";
import { begin, concat, open, promptIds, tensor } from "./driver.ts";
import { check, close, type Result } from "./report.ts";

const LOGIT_ITERATIONS = [0, 1, 2, 4, 8, 16];

export async function coreRecords(c: GoldenCase): Promise<Result[]> {
  const results: Result[] = [];
  const { backend } = c;
  const sequence = open(c, 16);
  const rows = await begin(c, sequence, promptIds(c));
  // a sibling's cases hold fewer records; that none of theirs is passed over is checked at the end (records.ts)
  const compare = async (record: string, actual: () => Promise<ArrayLike<number>>): Promise<void> => {
    if (c.config.family !== "huginn" && !c.tensors.has(record)) return;
    results.push(await check(record, async () => close(await actual(), tensor(c, record))));
  };

  await compare("core.prelude_out", () => perRow(rows, (row) => backend.embedded(row)));
  const states: Float32Array[] = [];
  for (let t = 0; t <= 16; t++) {
    if (t > 0) {
      await backend.iterate(rows);
      states.push(await perRow(rows, (row) => backend.latent(row, "raw")));
    }
    if (!LOGIT_ITERATIONS.includes(t)) continue;
    await compare(`core.latent_lnf.r${t}`, () => perRow(rows, (row) => backend.latent(row, "normalised")));
    await compare(`core.logits.r${t}`, async () => concat(await backend.readout(rows, rows)));
  }
  await compare("core.states_raw", async () => concat(states));
  await compare("core.dec_from_raw16_logits", async () => concat(await backend.readout(rows, rows)));
  await compare("core.head.r16", () => perRow(rows, (row) => backend.headInput(row)));
  await monitors(c, rows, compare);
  backend.closeSequence(sequence);

  await compare("core.logits.r4.init_scale0", () => freshLogits(c, 4, 0, true));
  await compare("core.logits.steps_5_3", () => freshLogits(c, 8, 0));
  await compare("core.logits_b.r8", async () => concat([await freshLogits(c, 8, 0), await freshLogits(c, 8, 1)]));
  return results;
}

/** Entropy of the prediction, and how far the head's input lies from ln_f of the state. */
async function monitors(
  c: GoldenCase,
  rows: readonly Row[],
  compare: (record: string, actual: () => Promise<ArrayLike<number>>) => Promise<void>,
): Promise<void> {
  const logits = await c.backend.readout(rows, rows);
  const residuals: { difference: number; norm: number }[] = [];
  for (const row of rows) {
    const [head, latent] = [await c.backend.headInput(row), await c.backend.latent(row, "normalised")];
    residuals.push({ difference: Math.hypot(...head.map((v, i) => v - latent[i]!)), norm: Math.hypot(...latent) });
  }
  await compare("core.stats.r16.entropy", async () => logits.map((l) => probabilities(l).reduce((sum, p) => sum - p * Math.log(p), 0)));
  await compare("core.stats.r16.residual_diff", async () => residuals.map((r) => r.difference));
  await compare("core.stats.r16.rel_residual", async () => residuals.map((r) => r.difference / r.norm));
}

/** Logits of the prompt from states given or drawn anew. */
export async function freshLogits(c: GoldenCase, iterations: number, batchRow: number, zero = false): Promise<Float32Array> {
  const sequence = open(c, iterations);
  const rows = await begin(c, sequence, promptIds(c, batchRow), batchRow, zero);
  for (let t = 0; t < iterations; t++) await c.backend.iterate(rows);
  const logits = concat(await c.backend.readout(rows, rows));
  c.backend.closeSequence(sequence);
  return logits;
}

export async function perRow(rows: readonly Row[], read: (row: Row) => Float32Array | Promise<Float32Array>): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (const row of rows) parts.push(await read(row));
  return concat(parts);
}

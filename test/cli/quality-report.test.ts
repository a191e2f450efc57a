/**
 * The report of a conversion: nothing between a model and itself, little at q8, more at q4, at each depth.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cp } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../cli/convert.ts";
import { qualityReport, type QualityRow } from "../../cli/quality-report.ts";
import { writeFamilyCheckpoint } from "../../bench/family-shapes.ts";
import { mkdir } from "node:fs/promises";

const CONFIG = {
  model_type: "huginn_raven",
  n_embd: 128,
  num_attention_heads: 4,
  intermediate_size: 128,
  n_layers_in_prelude: 1,
  n_layers_in_recurrent_block: 1,
  n_layers_in_coda: 1,
  vocab_size: 1024,
  block_size: 256,
  qk_bias: true,
  tie_embeddings: true,
};

let folder: string;
const rows: Record<string, QualityRow[]> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-report-"));
  const source = join(folder, "source");
  await mkdir(source);
  await writeFamilyCheckpoint(source, CONFIG);
  await cp(source, join(folder, "copy"), { recursive: true });
  for (const format of ["q8", "q4"] as const) await convert(source, join(folder, format), format);
  for (const result of ["copy", "q8", "q4"]) rows[result] = await qualityReport(source, join(folder, result), "Ada lies. Bo says so.");
});
afterAll(() => rm(folder, { recursive: true }));

describe("the report of a conversion", () => {
  it("is of 1, 4, 16 and 32 iterations over all tokens of the text", () => {
    expect(rows["q4"]!.map(({ iterations }) => iterations)).toEqual([1, 4, 16, 32]);
    expect(new Set(rows["q4"]!.map(({ tokens }) => tokens)).size).toBe(1);
    expect(rows["q4"]![0]!.tokens).toBeGreaterThan(5);
  });

  it("finds nothing between a model and its copy", () => {
    for (const { iterations: _, tokens: __, ...row } of rows["copy"]!)
      expect(row).toEqual({ sameTop: 1, meanKl: 0, maxKl: 0, maxLogit: 0, stateDrift: 0 });
  });

  it("finds less at q8 than at q4, of states and of what is said", () => {
    rows["q4"]!.forEach((q4, i) => {
      const q8 = rows["q8"]![i]!;
      for (const measure of ["meanKl", "maxKl", "maxLogit", "stateDrift"] as const) {
        expect(q8[measure], `${measure} after ${q8.iterations}`).toBeGreaterThan(0);
        expect(q4[measure], `${measure} after ${q4.iterations}`).toBeGreaterThan(q8[measure]);
      }
    });
  });
});

/**
 * Golden records of the KV cache: cached and chunked decoding, what lies in a slot, and every lookup strategy.
 */
import type { Sequence } from "../../engine/port/backend.ts";
import type { GoldenCase } from "./case.ts";
import { concat, open, promptIds, teacherForced, tensor } from "./driver.ts";
import { all, check, close, same, type Result } from "./report.ts";

const DECODE_CHUNKS = [7, 1, 1, 1, 1, 1];
const CHUNKS = [5, 4, 3];

export async function cacheRecords(c: GoldenCase): Promise<Result[]> {
  const results: Result[] = [];
  const { backend, config, json } = c;

  const decoded = open(c, 8);
  results.push(
    await check("cache.decode.full.r8", async () =>
      close(
        await teacherForced(
          c,
          decoded,
          DECODE_CHUNKS,
          DECODE_CHUNKS.map(() => 8),
        ),
        tensor(c, "cache.decode.full.r8"),
      ),
    ),
  );
  results.push(await check("cache_slots_r8", () => same(backend.cachedSlots(decoded), json.cache_slots_r8)));
  const entries: (readonly [record: string, slot: number, part: "key" | "value"])[] = [
    ["cache.slot0.k", 0, "key"],
    ["cache.slot0.v", 0, "value"],
    ...(c.tensors.has("cache.slot_first_core.k") ? [["cache.slot_first_core.k", config.preludeLayers, "key"] as const] : []),
    ["cache.slot_last_core.k", config.preludeLayers + 8 * config.coreLayers - 1, "key"],
    ["cache.slot_coda1.k", -1, "key"],
  ];
  for (const [record, slot, part] of entries)
    results.push(await check(record, async () => close(await byHead(c, decoded, slot, part), tensor(c, record))));
  backend.closeSequence(decoded);

  results.push(
    await check("cache.chunked.full.r8", async () =>
      close(
        await forced(
          c,
          "full",
          CHUNKS,
          CHUNKS.map(() => 8),
        ),
        tensor(c, "cache.chunked.full.r8"),
      ),
    ),
  );
  for (const [strategy, record] of Object.entries(json.kv)) results.push(...(await strategyRecords(c, strategy, record)));
  return results;
}

async function strategyRecords(c: GoldenCase, strategy: string, record: GoldenCase["json"]["kv"][string]): Promise<Result[]> {
  const { backend, config, json } = c;
  const results: Result[] = [];
  const sequence = open(c, 16, strategy);
  results.push(
    await check(`kv.${strategy}.fixed16`, async () => {
      const logits = await teacherForced(
        c,
        sequence,
        json.kv_chunks,
        json.kv_chunks.map(() => 16),
      );
      const slots = backend.cachedSlots(sequence);
      const bytes = slots.length * sequence.length * 2 * config.kvHeads * config.headDim * 4;
      return all(close(logits, tensor(c, `kv.${strategy}.fixed16`)), same(slots, record.slots_fixed16), same(bytes, record.bytes_fixed16));
    }),
  );
  backend.closeSequence(sequence);
  results.push(
    await check(`kv.${strategy}.chunked16`, async () =>
      close(
        await forced(
          c,
          strategy,
          CHUNKS,
          CHUNKS.map(() => 16),
        ),
        tensor(c, `kv.${strategy}.chunked16`),
      ),
    ),
  );
  if (record.var === true)
    results.push(
      await check(`kv.${strategy}.var`, async () =>
        close(await forced(c, strategy, json.kv_chunks, json.kv_var_steps), tensor(c, `kv.${strategy}.var`)),
      ),
    );
  else results.push(await check(`kv.${strategy}.var raises`, () => raisesMissingCache(c, strategy)));
  return results;
}

/** Where the authors' code raises for want of an entry, a named error is expected of us. */
async function raisesMissingCache(c: GoldenCase, strategy: string): Promise<ReturnType<typeof same>> {
  try {
    await forced(c, strategy, c.json.kv_chunks, c.json.kv_var_steps);
  } catch (error) {
    return same((error as { code?: string }).code, "missing_cache");
  }
  return same("no error", "missing_cache");
}

async function forced(c: GoldenCase, strategy: string, chunks: readonly number[], iterations: readonly number[]): Promise<Float32Array> {
  const sequence = open(c, Math.max(...iterations), strategy);
  try {
    return await teacherForced(c, sequence, chunks, iterations);
  } finally {
    c.backend.closeSequence(sequence);
  }
}

/** A slot as the reference keeps it: [heads, positions, headDim]. */
export async function byHead(c: GoldenCase, sequence: Sequence, slot: number, part: "key" | "value"): Promise<Float32Array> {
  const { kvHeads, headDim } = c.config;
  const positions: Float32Array[] = [];
  for (let p = 0; p < promptIds(c).length; p++) positions.push((await c.backend.cached(sequence, slot, p))[part]);
  const out: Float32Array[] = [];
  for (let h = 0; h < kvHeads; h++) out.push(...positions.map((v) => v.subarray(h * headDim, (h + 1) * headDim)));
  return concat(out);
}

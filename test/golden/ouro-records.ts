/**
 * Golden records of Ouro: states and logits of every loop, the exit gate and what each threshold chooses, loops beyond those
 * trained, and the cache.
 */
import { gateOf } from "../../engine/decode/exit.ts";
import type { Sequence } from "../../engine/port/backend.ts";
import { normalised } from "../../engine/port/measure.ts";
import { byHead } from "./cache-records.ts";
import type { GoldenCase } from "./case.ts";
import { freshLogits, perRow } from "./core-records.ts";
import { begin, concat, open, promptIds, teacherForced, tensor } from "./driver.ts";
import { all, check, close, same, type Result } from "./report.ts";

/** What loops leave behind, one entry a loop. */
interface Loops {
  /** [positions, vocab] */
  readonly logits: readonly Float32Array[];
  /** [positions, width] */
  readonly states: readonly Float32Array[];
  /** sigmoid of the gate, by position */
  readonly gates: readonly (readonly number[])[];
}

export async function ouroRecords(c: GoldenCase): Promise<Result[]> {
  const loops = c.config.meanRecurrence;
  const run = await runLoops(c, Math.max(loops + 2, ...changedLoops(c)));
  const results: Result[] = [];
  const compare = async (record: string, actual: () => ArrayLike<number> | Promise<ArrayLike<number>>): Promise<void> => {
    results.push(await check(record, async () => close(await actual(), tensor(c, record))));
  };
  const finalNorm = c.vectors.get("transformer.ln_f.weight")!;
  await compare("core.states", () => concat(run.states.slice(0, loops)));
  results.push(
    await check("core.states_prenorm", () => {
      const raw = tensor(c, "core.states_prenorm");
      const { width, normEps } = c.config;
      const rows = Array.from({ length: raw.length / width }, (_, i) => raw.slice(i * width, (i + 1) * width));
      return close(concat(rows.map((row) => normalised(row, finalNorm, normEps))), concat(run.states.slice(0, loops)));
    }),
  );
  for (let u = 1; u <= loops; u++) await compare(`core.logits.r${u}`, () => run.logits[u - 1]!);
  await compare(`core.logits_b.r${loops}`, async () => concat([await freshLogits(c, loops, 0), await freshLogits(c, loops, 1)]));
  await compare(`long.logits.r${loops}`, () => longLogits(c, loops));
  await gateRecords(c, run, compare, results);
  for (const changed of changedLoops(c)) {
    await compare(`ut${changed}.logits`, () => run.logits[changed - 1]!);
    await compare(`ut${changed}.gate.pdf`, () => shares(run, changed).flat());
  }
  await cacheRecords(c, compare, results);
  return results;
}

/** Loop counts of the records that change total_ut_steps. */
function changedLoops(c: GoldenCase): number[] {
  return [...c.tensors.keys()].map((name) => Number(/^ut(\d+)\.logits$/.exec(name)?.[1])).filter((loops) => loops > 0);
}

async function runLoops(c: GoldenCase, loops: number): Promise<Loops> {
  const sequence = open(c, loops);
  const rows = await begin(c, sequence, promptIds(c));
  const out = { logits: [] as Float32Array[], states: [] as Float32Array[], gates: [] as number[][] };
  for (let u = 0; u < loops; u++) {
    await c.backend.iterate(rows);
    out.states.push(await perRow(rows, (row) => c.backend.latent(row, "raw")));
    out.gates.push(await Promise.all(rows.map(async (row) => gateOf(c.backend, await c.backend.latent(row, "raw")))));
    out.logits.push(concat(await c.backend.readout(rows, rows)));
  }
  c.backend.closeSequence(sequence);
  return out;
}

/** How likely each loop is the last, by position: [positions][loops]. The last one takes what is left. */
function shares({ gates }: Loops, loops: number): number[][] {
  return gates[0]!.map((_, position) => {
    let left = 1;
    return Array.from({ length: loops }, (__, u) => {
      const share = u === loops - 1 ? left : gates[u]![position]! * left;
      left -= share;
      return share;
    });
  });
}

/** The exit loop of every position, counted from 1. */
function exitLoops(run: Loops, loops: number, threshold: number): number[] {
  return shares(run, loops).map((pdf) => {
    let sum = 0;
    const at = pdf.findIndex((share, u) => u === loops - 1 || ((sum += share) >= threshold && threshold < 1));
    return at + 1;
  });
}

async function gateRecords(
  c: GoldenCase,
  run: Loops,
  compare: (record: string, actual: () => ArrayLike<number> | Promise<ArrayLike<number>>) => Promise<void>,
  results: Result[],
): Promise<void> {
  const loops = c.config.meanRecurrence;
  const { vocabSize } = c.config;
  const pdf = shares(run, loops);
  const logitsAt = (position: number, loop: number): Float32Array =>
    run.logits[loop - 1]!.subarray(position * vocabSize, (position + 1) * vocabSize);
  const chosen = (exits: readonly number[]): Float32Array => concat(exits.map((loop, position) => logitsAt(position, loop)));
  await compare("gate.logit", () => run.gates.slice(0, loops).flatMap((own) => own.map((p) => Math.log(p / (1 - p)))));
  await compare("gate.pdf", () => pdf.flat());
  await compare("gate.cdf", () => pdf.flatMap((own) => own.map((_, u) => own.slice(0, u + 1).reduce((a, b) => a + b, 0))));
  for (const { threshold, loops: expected } of c.json.exits!)
    results.push(
      await check(`exit.th${threshold}.logits`, () => {
        const exits = exitLoops(run, loops, threshold);
        return all(same(exits, expected), close(chosen(exits), tensor(c, `exit.th${threshold}.logits`)));
      }),
    );
  const { exitAt, gateThreshold } = c.config;
  await compare("core.logits.default", () =>
    exitAt === undefined ? chosen(exitLoops(run, loops, gateThreshold!)) : run.logits[exitAt - 1]!,
  );
  await compare("core.logits.nothreshold", () => run.logits[loops - 1]!);
  await compare("core.logits.weighted", () =>
    pdf.flatMap((own, position) =>
      Array.from({ length: vocabSize }, (_, v) => own.reduce((sum, share, u) => sum + share * logitsAt(position, u + 1)[v]!, 0)),
    ),
  );
}

async function longLogits(c: GoldenCase, loops: number): Promise<Float32Array> {
  const sequence = open(c, loops);
  const rows = await begin(c, sequence, [...c.tensors.get("long.ids")!.data]);
  for (let u = 0; u < loops; u++) await c.backend.iterate(rows);
  const logits = concat(await c.backend.readout(rows, rows));
  c.backend.closeSequence(sequence);
  return logits;
}

async function cacheRecords(
  c: GoldenCase,
  compare: (record: string, actual: () => ArrayLike<number> | Promise<ArrayLike<number>>) => Promise<void>,
  results: Result[],
): Promise<void> {
  const { coreLayers, meanRecurrence: loops } = c.config;
  const forced = (sequence: Sequence, chunks: readonly number[]) =>
    teacherForced(
      c,
      sequence,
      chunks,
      chunks.map(() => loops),
    );
  const decoded = open(c, loops);
  await compare("cache.decode", () => forced(decoded, c.json.kv_chunks));
  results.push(await check("cache_slots", () => same(c.backend.cachedSlots(decoded).length, c.json.cache_slots)));
  const slots = { slot0: 0, slot_ut1_layer0: coreLayers, slot_last: coreLayers * loops - 1 };
  for (const [name, slot] of Object.entries(slots)) {
    await compare(`cache.${name}.k`, () => byHead(c, decoded, slot, "key"));
    await compare(`cache.${name}.v`, () => byHead(c, decoded, slot, "value"));
  }
  c.backend.closeSequence(decoded);
  const chunked = open(c, loops);
  await compare("cache.chunked", () => forced(chunked, [5, 4, 3]));
  c.backend.closeSequence(chunked);
}

/**
 * Rotary position, cache entries and attention over them, against plain f64: any head size, grouped heads, entries
 * anywhere in memory, f32 and int8.
 */
import { describe, it } from "vitest";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { attend, rotate, type Seen } from "../../engine/reference/ops.ts";
import { rotaryTable } from "../../engine/model/rotary.ts";
import { entryLayout, type KvFormat } from "../../wasm/sequence.ts";
import { expectClose, expectSame } from "./compare.ts";
import { Host, hostPaths } from "./host.ts";
import { randomFloats } from "./models.ts";

const paths = await hostPaths();

interface Case {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly positions: number;
  readonly rotary: "interleaved" | "half-split";
  readonly bias: boolean;
}

const CASES: readonly Case[] = [
  { heads: 1, kvHeads: 1, headDim: 2, positions: 1, rotary: "interleaved", bias: true },
  { heads: 4, kvHeads: 4, headDim: 16, positions: 5, rotary: "interleaved", bias: true },
  { heads: 6, kvHeads: 2, headDim: 10, positions: 4, rotary: "half-split", bias: false },
  { heads: 2, kvHeads: 1, headDim: 32, positions: 19, rotary: "half-split", bias: true },
  { heads: 3, kvHeads: 3, headDim: 44, positions: 8, rotary: "interleaved", bias: false },
  { heads: 2, kvHeads: 2, headDim: 64, positions: 130, rotary: "interleaved", bias: true },
  { heads: 2, kvHeads: 2, headDim: 96, positions: 33, rotary: "interleaved", bias: false },
];

/** Runs every position through storeRows and lets the last one attend to those that `seen` picks, scattered in memory. */
function run(host: Host, c: Case, kv: KvFormat, seen: (position: number) => boolean): { actual: Float32Array; expected: Float32Array } {
  const { heads, kvHeads, headDim, positions } = c;
  const config: ModelConfig = {
    ...parseConfig({
      n_embd: heads * headDim,
      num_attention_heads: heads,
      intermediate_size: 1,
      n_layers_in_prelude: 0,
      n_layers_in_recurrent_block: 1,
      n_layers_in_coda: 0,
      vocab_size: 2,
      block_size: positions,
    }),
    kvHeads,
  };
  const layout = entryLayout(config, kv);
  const width = (heads + 2 * kvHeads) * headDim;
  const qkv = randomFloats(positions * width, 1, 2);
  const bias = randomFloats((heads + kvHeads) * headDim, 2);
  const { cos, sin } = rotaryTable(config);
  const half = headDim / 2;
  const order = (p: number): number => (p * 7 + 3) % positions; // entries lie in no order
  const isPermutation = new Set(Array.from({ length: positions }, (_, p) => order(p))).size === positions;
  const entries = host.room(positions * layout.entryBytes);
  const address = (p: number): number => entries + (isPermutation ? order(p) : p) * layout.entryBytes;
  const query = host.room(heads * headDim * 4);
  const visible: Seen[] = [];
  let q = new Float32Array(0);
  const biasAt = c.bias ? host.put(bias) : 0;
  const interleaved = c.rotary === "interleaved" ? 1 : 0;
  const { valueOffset, scaleOffset } = layout;
  const block = host.block({ heads, kvHeads, headDim, interleaved, scale: 1 / Math.sqrt(headDim), valueOffset, scaleOffset });
  const list: number[] = [];
  let table = 0;
  for (let p = 0; p < positions; p++) {
    const row = qkv.slice(p * width, (p + 1) * width);
    const angles = host.put(new Float32Array([...cos.subarray(p * half, (p + 1) * half), ...sin.subarray(p * half, (p + 1) * half)]));
    if (seen(p)) list.push(address(p) - 64); // the shift makes up for it
    const isLast = p === positions - 1;
    const padded = isLast ? [...list, ...Array.from({ length: (4 - (list.length % 4)) % 4 }, () => list[0]!)] : [0];
    table = host.table([{ query, entry: address(p), list: host.putWords(padded), count: list.length, shift: 64, angles }]);
    const y = host.put(row);
    (kv === "f32" ? host.run.storeRows : host.run.storeRowsInt8)(block, table, 1, y, 0, heads, biasAt);
    const biased = c.bias ? row.map((v, i) => v + (bias[i] ?? 0)) : row;
    const [qs, ks] = [biased.slice(0, heads * headDim), biased.slice(heads * headDim, (heads + kvHeads) * headDim)];
    rotate(qs, headDim, p, { cos, sin }, c.rotary);
    rotate(ks, headDim, p, { cos, sin }, c.rotary);
    q = qs;
    if (seen(p)) visible.push({ key: ks, value: row.slice((heads + kvHeads) * headDim) });
  }
  const scores = host.room(Math.ceil(positions / 4) * 16);
  const out = host.room(heads * headDim * 4);
  (kv === "f32" ? host.run.attendRows : host.run.attendRowsInt8)(block, table, 1, scores, out, 0);
  return { actual: host.floats(out, heads * headDim), expected: attend(q, visible, heads, kvHeads) };
}

const everything = (): boolean => true;
const lastAndThirds =
  (c: Case) =>
  (p: number): boolean =>
    p === c.positions - 1 || p % 3 === 0;

describe.each(CASES)("$heads heads over $kvHeads of $headDim, $positions positions, $rotary", (c) => {
  it("attend to f32 entries", () => {
    for (const { module, path, name } of paths) {
      const { actual, expected } = run(new Host(module, path), c, "f32", everything);
      expectClose(actual, expected, 3e-6, name);
      const ragged = run(new Host(module, path), c, "f32", lastAndThirds(c));
      expectClose(ragged.actual, ragged.expected, 3e-6, `${name}, positions missing`);
    }
  });

  it("attend to int8 entries, alike on every path", () => {
    let first: Float32Array | undefined;
    for (const { module, path, name } of paths) {
      const { actual, expected } = run(new Host(module, path), c, "int8", everything);
      expectClose(actual, expected, 2e-2, name);
      expectSame(actual, (first ??= actual), name);
      const ragged = run(new Host(module, path), c, "int8", lastAndThirds(c));
      expectClose(ragged.actual, ragged.expected, 2e-2, `${name}, positions missing`);
    }
  });
});

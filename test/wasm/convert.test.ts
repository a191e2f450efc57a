/**
 * The quantisers of fathom convert: plain TypeScript and WebAssembly give the same bytes, those of the definition.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { quantiseTiles, type QuantiseTiles } from "../../engine/model/quantise.ts";
import { quantisedBytes, type QuantFormat, type QuantLayout } from "../../engine/model/quantised.ts";
import { uniform } from "../../engine/random.ts";
import { nodeQuantiser, type NodeQuantiser } from "../../wasm/node-quantiser.ts";
import { plainQuantiseTiles } from "../../bench/quantise-plain.ts";

let wasm: QuantiseTiles;
let three: NodeQuantiser;
beforeAll(async () => {
  wasm = (await nodeQuantiser(1)).quantise;
  three = await nodeQuantiser(3);
});
afterAll(() => three.stop());

function pack(quantise: QuantiseTiles, weights: Float32Array, layout: QuantLayout): Buffer {
  const out = new Uint8Array(quantisedBytes(layout)).fill(255); // what was there before must not show
  quantise(weights, layout.rows, out, layout);
  return Buffer.from(out);
}

/** Weights with what is hard: exact halves of a scale, zeros, equal extremes of both signs, the largest and the smallest. */
const WEIGHTS: Readonly<Record<string, (i: number) => number>> = {
  "of a normal kind": (i) => (uniform(1, 0, i) + uniform(2, 0, i) + uniform(3, 0, i) - 1.5) * 0.05,
  "on exact halves": (i) => ((i * 7) % 33) / 2 - 8,
  "with one extreme of each sign": (i) => (i % 64 === 5 ? 3 : i % 64 === 40 ? -3 : uniform(4, 0, i) - 0.5),
  "mostly zero": (i) => (i % 97 === 0 ? -0.25 : 0),
  "all zero": () => 0,
  "of very different sizes": (i) => (uniform(5, 0, i) - 0.5) * 10 ** ((i % 41) - 20),
  "next to nothing": (i) => (i % 5) * 1.4e-45,
};

describe("quantising", () => {
  for (const format of ["q4", "q8"] as QuantFormat[])
    for (const [what, weight] of Object.entries(WEIGHTS))
      it(`to ${format} gives the defined bytes for weights ${what}`, () => {
        for (const [rows, columns, group] of [
          [16, 64, 64],
          [21, 96, 32],
          [33, 256, 128],
        ] as const) {
          const layout: QuantLayout = { format, rows, columns, group };
          const weights = Float32Array.from({ length: rows * columns }, (_, i) => weight(i));
          const expected = pack(plainQuantiseTiles, weights, layout);
          expect(pack(quantiseTiles, weights, layout).equals(expected), `TypeScript, ${rows} x ${columns} by ${group}`).toBe(true);
          expect(pack(wasm, weights, layout).equals(expected), `WebAssembly, ${rows} x ${columns} by ${group}`).toBe(true);
          expect(pack(three.quantise, weights, layout).equals(expected), `three threads, ${rows} x ${columns} by ${group}`).toBe(true);
        }
      });

  it("gives the bytes of one thread by three, over and over", () => {
    const layout: QuantLayout = { format: "q4", rows: 16 * 40, columns: 256, group: 64 };
    const weights = Float32Array.from({ length: layout.rows * layout.columns }, (_, i) => WEIGHTS["of a normal kind"]!(i));
    const expected = pack(wasm, weights, layout);
    for (let n = 0; n < 50; n++) expect(pack(three.quantise, weights, layout).equals(expected), `run ${n}`).toBe(true);
  });

  it("gives the bytes that it gave when the shipped model was made", () => {
    const weights = Float32Array.from({ length: 48 * 128 }, (_, i) => WEIGHTS["of a normal kind"]!(i));
    const hash = (format: QuantFormat): string =>
      createHash("sha256")
        .update(pack(wasm, weights, { format, rows: 48, columns: 128, group: 64 }))
        .digest("hex")
        .slice(0, 16);
    expect({ q4: hash("q4"), q8: hash("q8") }).toEqual({ q4: "a3f3fcd07be01f3a", q8: "9da29d32e5599466" });
  });
});

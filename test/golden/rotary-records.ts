/**
 * Golden records of rotary position: frequencies after scaling, and the angles of the first positions.
 */
import { rotaryTable } from "../../engine/model/rotary.ts";
import type { GoldenCase } from "./case.ts";
import { tensor } from "./driver.ts";
import { check, close, type Result } from "./report.ts";

export async function rotaryRecords(c: GoldenCase): Promise<Result[]> {
  const half = c.config.headDim / 2;
  const positions = c.tensors.get("rope.cos")!.shape[0]!;
  const { cos, sin } = rotaryTable(c.config, positions);
  // the records repeat both halves of a head
  const twice = (table: Float32Array): number[] =>
    Array.from({ length: positions * 2 * half }, (_, i) => table[Math.floor(i / (2 * half)) * half + (i % half)]!);
  // no frequency is above 1: position 1 tells it
  const frequencies = Array.from({ length: half }, (_, j) => Math.atan2(sin[half + j]!, cos[half + j]!));
  return [
    await check("rope.inv_freq", () => close(frequencies, tensor(c, "rope.inv_freq"))),
    await check("rope.cos", () => close(twice(cos), tensor(c, "rope.cos"))),
    await check("rope.sin", () => close(twice(sin), tensor(c, "rope.sin"))),
  ];
}

/**
 * How fast `fathom convert` is with each quantiser, on one checkpoint of random f32 weights, all in every round.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { convert } from "../cli/convert.ts";
import type { TargetFormat } from "../engine/model/convert.ts";
import { quantiseTiles, type QuantiseTiles } from "../engine/model/quantise.ts";
import { nodeQuantiser } from "../wasm/node-quantiser.ts";
import { plainQuantiseTiles } from "./quantise-plain.ts";
import { median } from "./timing.ts";

export interface ConvertRow {
  readonly format: TargetFormat;
  readonly quantiser: string;
  /** Megabytes of source weights quantised a second of wall time. */
  readonly MBPerSecond: number;
  /** Processor time of the process; less than the clock's where the machine is busy. */
  readonly MBPerCpuSecond: number;
  /** How many times as fast as "a call a weight". */
  readonly speedup: number;
}

/** @param source a folder with f32 weights @param bytes of them */
export async function benchConvert(source: string, bytes: number, rounds: number, onRound: () => void): Promise<ConvertRow[]> {
  const alone = await nodeQuantiser(1);
  const shared = await nodeQuantiser();
  const quantisers: Record<string, QuantiseTiles> = {
    "a call a weight": plainQuantiseTiles,
    TypeScript: quantiseTiles,
    WebAssembly: alone.quantise,
    "WebAssembly, a thread a core": shared.quantise,
  };
  const rows: ConvertRow[] = [];
  for (const format of ["q4", "q8"] as const) {
    const times = new Map(Object.keys(quantisers).map((name) => [name, { clock: [] as number[], cpu: [] as number[] }]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, quantise] of Object.entries(quantisers)) {
        const [start, cpu] = [performance.now(), process.cpuUsage()];
        await convert(source, join(source, "..", "converted"), format, { quantise });
        times.get(name)!.clock.push((performance.now() - start) / 1000);
        const { user, system } = process.cpuUsage(cpu);
        times.get(name)!.cpu.push((user + system) / 1e6);
        rmSync(join(source, "..", "converted"), { recursive: true });
      }
      onRound();
    }
    const plain = median([...times.values()][0]!.cpu);
    for (const [quantiser, { clock, cpu }] of times)
      rows.push({
        format,
        quantiser,
        MBPerSecond: bytes / 1e6 / median(clock),
        MBPerCpuSecond: bytes / 1e6 / median(cpu),
        speedup: plain / median(cpu),
      });
  }
  shared.stop();
  return rows;
}

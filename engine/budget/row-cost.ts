/**
 * What single rows of shared calls take, in milliseconds: the same prices as cost.ts, for whoever decides which rows go
 * into the next call.
 */
import { MACS_PER_UNIT, partsOf, type CostWeights, type ModelShape } from "./cost.ts";

/** Work that a row can do. */
export type RowWork = "prelude" | "iterate" | "readout" | "argmax" | "measure" | "pressure";

export interface RowCost {
  /** A backend call, beyond its rows. */
  readonly callMs: number;
  /** @param position what it sees is before it @param isHead whether its logits are read */
  rowMs(work: RowWork, position: number, isHead: boolean): number;
}

/** Units of a row, and of each position that it sees. */
interface Line {
  readonly fixed: number;
  readonly seen: number;
}

/** Prices of a model's rows on a host that takes so many milliseconds a unit. */
export function rowCost(shape: ModelShape, weights: CostWeights, msPerUnit: number): RowCost {
  const { width, preludeLayers, coreLayers, codaLayers } = shape;
  const { block, keysAndValues, adapter, head, attention } = partsOf(shape);
  const line = (fixed: number, seen = 0): Line => ({ fixed: fixed / MACS_PER_UNIT, seen: seen / MACS_PER_UNIT });
  const attended = (layers: number): number => weights.attention * attention * layers;
  const inner = Math.max(0, codaLayers - 1);
  const read = line(weights.coda * (inner * block + (codaLayers > 0 ? keysAndValues : 0)), attended(inner));
  const asHead = line(weights.coda * codaLayers * block + weights.head * head, attended(codaLayers));
  const lines: Readonly<Record<RowWork, Line>> = {
    prelude: line(weights.prelude * preludeLayers * block, attended(preludeLayers)),
    iterate: line(adapter + coreLayers * block, attended(coreLayers)),
    readout: read,
    argmax: read,
    measure: line(weights.check * 4 * width),
    pressure: line(0, 2 * weights.gather),
  };
  return {
    callMs: (weights.call / MACS_PER_UNIT) * msPerUnit,
    rowMs(work, position, isHead) {
      const { fixed, seen } = isHead ? asHead : lines[work];
      return (fixed + seen * (position + 1)) * msPerUnit;
    },
  };
}

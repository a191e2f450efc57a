/**
 * What the work of a decision costs, in work units, from counts of rows: rows of many branches go through one call, and
 * see what stands before each. The same units as cost.ts, which prices the calls of a completion.
 */
import type { Load, PassShape, ReadLoad } from "../decision-policy.ts";
import type { ExitCriterion } from "../exit-rule.ts";
import { MACS_PER_UNIT, partsOf, PLAIN_WEIGHTS, type CostWeights, type ModelShape } from "./cost.ts";

export interface DecisionCost {
  prelude(load: Load): number;
  /** One core iteration, and an exit rule's look at it. */
  iteration(load: Load, criterion: ExitCriterion): number;
  /** One core iteration without an exit rule's look at it. */
  unlooked(load: Load): number;
  /** Coda, and the head's logits that are asked for. */
  read(load: ReadLoad): number;
  /** Most work of a whole pass at a depth. */
  pass(pass: PassShape, depth: number, criterion: ExitCriterion): number;
}

/** Input, questions and leaves enter one after the other. */
const ENTRANCES = 3;

/** Logits that the largest call reads; beyond them it is cut (engine/decide/pass.ts). */
const LOGITS_OF_A_CALL = 1 << 20;

/**
 * @param weights [default a multiply-add is a multiply-add]
 * @param width   most rows of one backend call [default 64]
 */
export function decisionCost(shape: ModelShape, weights: CostWeights = PLAIN_WEIGHTS, width = 64): DecisionCost {
  const { block, keysAndValues, adapter, attention } = partsOf(shape);
  const { preludeLayers, coreLayers, codaLayers } = shape;
  // linear in the rows, so that reading them in two goes costs what it would in one and another call
  const calls = (rows: number, atLeast = 1): number => weights.call * (atLeast + rows / width);
  const seeing = (layers: number, seen: number): number => weights.attention * layers * attention * seen;

  const cost: DecisionCost = {
    prelude: ({ rows, seen }) =>
      (weights.prelude * preludeLayers * rows * block + seeing(preludeLayers, seen) + calls(rows, ENTRANCES)) / MACS_PER_UNIT,
    unlooked: ({ rows, seen }) => (rows * (adapter + coreLayers * block) + seeing(coreLayers, seen) + calls(rows)) / MACS_PER_UNIT,
    iteration(load, criterion) {
      const look = criterion === "none" ? 0 : weights.check * 4 * shape.width * load.rows + weights.call;
      return cost.unlooked(load) + look / MACS_PER_UNIT;
    },
    read({ rows, seen, heads, headsSeen, logits }) {
      if (rows === 0) return 0;
      const [inner, last] = codaLayers === 0 ? [0, 0] : [codaLayers - 1, 1];
      // of the last layer a row that is not read out needs its keys and values alone
      const whole = rows * inner + heads * last;
      const cut = rows * last;
      const matrices = weights.coda * (whole * block + cut * keysAndValues) + weights.head * logits * shape.width;
      const attended = seeing(inner, seen) + seeing(last, headsSeen);
      return (matrices + attended + calls(rows, 1 + logits / LOGITS_OF_A_CALL)) / MACS_PER_UNIT;
    },
    pass({ rows, eachRead, lastRead, most = Infinity }, depth, criterion) {
      const iterations = Math.min(depth, most);
      return cost.prelude(rows) + iterations * (cost.iteration(rows, criterion) + cost.read(eachRead)) + cost.read(lastRead);
    },
  };
  return cost;
}

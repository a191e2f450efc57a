/**
 * What work costs: work units and bytes of every kind of call, from the model's shape alone. One unit is 1e9
 * multiply-adds of the core's matrices over many rows; `CostWeights` says what other work counts for on a given build.
 * Predicts, never measures (calibration.ts does), and knows nothing of money or time.
 */
import type { ExitCriterion } from "../exit-rule.ts";

/** Multiply-adds in a work unit. */
export const MACS_PER_UNIT = 1e9;

/** What the cost depends on; a ModelConfig is one. */
export interface ModelShape {
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly mlpWidth: number;
  readonly preludeLayers: number;
  readonly coreLayers: number;
  readonly codaLayers: number;
  readonly vocabSize: number;
  /** What an iteration begins with; without an adapter there is no matrix to pay for. */
  readonly recurrence: { readonly injection: "adapter" | "none" };
}

/** How much a multiply-add of each kind counts, relative to one of the core's matrices. Measured by calibration. */
export interface CostWeights {
  readonly prelude: number;
  readonly coda: number;
  readonly head: number;
  readonly attention: number;
  /** Reading states for exit rules, four multiply-adds a state element. */
  readonly check: number;
  /** Attention weights that rest-wake reads where rows ran, and sums where rows rest: one multiply-add each. */
  readonly gather: number;
  /** Multiply-adds that every backend call counts for beyond its rows. */
  readonly call: number;
}

/** Every multiply-add counts once; looking costs nothing. */
export const PLAIN_WEIGHTS: CostWeights = { prelude: 1, coda: 1, head: 1, attention: 1, check: 0, gather: 0, call: 0 };

export interface ByteSizes {
  /** Bytes of a weight of the matrices; 4.5 bits in q4 with groups of 64. [default 0.5625] */
  readonly weight: number;
  /** Bytes of an element of a cached key or value. [default 4] */
  readonly cached: number;
}

const Q4_WEIGHTS: ByteSizes = { weight: 0.5625, cached: 4 };

export interface Cost {
  readonly units: number;
  /** Weights and cached keys and values that are read; what a host limited by memory pays for. */
  readonly bytes: number;
}

/** Rows of a call are the last of the positions in `context`: the dearest they can be, and exact unless rows rest. */
export interface CostModel {
  /** Embedding and prelude of rows. */
  prelude(rows: number, context: number): Cost;
  /** One core iteration. */
  iteration(rows: number, context: number): Cost;
  /** Coda over all rows, of which one goes on to the head. */
  readout(rows: number, context: number): Cost;
  /** What an exit rule's look at a call costs after one iteration of `ran` of its rows, a readout of its own included. */
  check(criterion: ExitCriterion, ran: number, rows: number, context: number): Cost;
}

/** Criteria that read the next token's prediction and so pay for coda and head at every check. */
const READS_LOGITS: readonly ExitCriterion[] = ["entropy-diff", "kl", "minp-kl", "argmax-stability"];

function readsLogits(criterion: ExitCriterion): boolean {
  return READS_LOGITS.includes(criterion);
}

/** Multiply-adds of the parts of a model that its cost is made of. */
export interface Parts {
  /** Multiply-adds of a block, a row. */
  readonly block: number;
  /** Multiply-adds of a block's keys and values, a row. */
  readonly keysAndValues: number;
  /** Multiply-adds of the adapter, a row; 0 where iterations begin without one. */
  readonly adapter: number;
  /** Multiply-adds of the whole head, a row. */
  readonly head: number;
  /** Multiply-adds of attention in one layer, a position seen. */
  readonly attention: number;
}

export function partsOf({ width, heads, kvHeads, headDim, mlpWidth, vocabSize, recurrence }: ModelShape): Parts {
  const keysAndValues = 2 * kvHeads * headDim * width;
  return {
    block: 2 * heads * headDim * width + keysAndValues + 3 * mlpWidth * width,
    keysAndValues,
    adapter: recurrence.injection === "adapter" ? 2 * width * width : 0,
    head: vocabSize * width,
    attention: 2 * heads * headDim,
  };
}

/** The cost of calls of a model. @param weights [default a multiply-add is a multiply-add] */
export function costModel(shape: ModelShape, weights: CostWeights = PLAIN_WEIGHTS, sizes: ByteSizes = Q4_WEIGHTS): CostModel {
  const { width, kvHeads, headDim } = shape;
  const { block, keysAndValues, adapter, head, attention: perSeen } = partsOf(shape);

  /** Multiply-adds of attention in one layer over the last `rows` of `context` positions. */
  const attention = (rows: number, context: number): number => perSeen * seen(rows, context);
  const cost = (macs: number, matrices: number, attended: number): Cost => ({
    units: (macs + weights.call) / MACS_PER_UNIT,
    bytes: matrices * sizes.weight + attended * 2 * kvHeads * headDim * sizes.cached,
  });

  const model: CostModel = {
    prelude(rows, context) {
      const layers = shape.preludeLayers;
      const macs = weights.prelude * layers * rows * block + weights.attention * layers * attention(rows, context);
      return cost(macs, layers * block, layers * seen(rows, context));
    },
    iteration(rows, context) {
      const layers = shape.coreLayers;
      const macs = rows * (adapter + layers * block) + weights.attention * layers * attention(rows, context);
      return cost(macs, adapter + layers * block, layers * seen(rows, context));
    },
    readout(rows, context) {
      const layers = shape.codaLayers;
      // after its last keys and values a row that is not read out is done
      const whole = rows * Math.max(0, layers - 1) + (layers > 0 ? 1 : 0);
      const cut = layers > 0 ? rows - 1 : 0;
      const attended = Math.max(0, layers - 1) * seen(rows, context) + (layers > 0 ? context : 0);
      const macs = weights.coda * (whole * block + cut * keysAndValues) + weights.attention * perSeen * attended;
      return cost(macs + weights.head * head, layers * block + head, attended);
    },
    check(criterion, ran, rows, context) {
      if (criterion === "none") return { units: 0, bytes: 0 };
      if (readsLogits(criterion)) return model.readout(rows, context);
      const gathered = criterion === "rest-wake" && rows > 1 ? seen(ran, context) + seen(rows, context) : 0;
      const macs = weights.check * 4 * width * ran + weights.gather * gathered;
      return { units: (macs + weights.call) / MACS_PER_UNIT, bytes: 4 * (width * ran + gathered) };
    },
  };
  return model;
}

/** Positions that the last `rows` of `context` positions see, summed: each sees itself and all before it. */
function seen(rows: number, context: number): number {
  return (rows * (2 * context - rows + 1)) / 2;
}

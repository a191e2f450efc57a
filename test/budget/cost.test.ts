/**
 * The cost model against the multiply-adds that the reference backend really does.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Backend, Row } from "../../engine/port/backend.ts";
import { costModel, MACS_PER_UNIT, type CostModel } from "../../engine/budget/cost.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { parseConfig, type ModelConfig } from "../../engine/model/config.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { OURO } from "../model/siblings.ts";
import { randomWeights } from "../wasm/models.ts";

const counted = vi.hoisted(() => ({ macs: 0 }));
vi.mock("../../engine/reference/ops.ts", async (load) => {
  const real = await load<typeof import("../../engine/reference/ops.ts")>();
  const linear: typeof real.linear = (matrix, input) => {
    counted.macs += matrix.rows * matrix.columns;
    return real.linear(matrix, input);
  };
  const attend: typeof real.attend = (query, seen, ...rest) => {
    counted.macs += 2 * query.length * seen.length;
    return real.attend(query, seen, ...rest);
  };
  return { ...real, linear, attend };
});

const SHAPES = {
  "one core layer": { n_layers_in_prelude: 2, n_layers_in_recurrent_block: 1, n_layers_in_coda: 1 },
  "several layers, grouped heads": {
    n_layers_in_prelude: 1,
    n_layers_in_recurrent_block: 3,
    n_layers_in_coda: 2,
    num_key_value_heads: 2,
  },
};

/** Multiply-adds of work, in units. */
async function count(work: () => unknown): Promise<number> {
  counted.macs = 0;
  await work();
  return counted.macs / MACS_PER_UNIT;
}

describe.each(Object.entries(SHAPES))("the cost of a model with %s", (_name, shape) => {
  const config: ModelConfig = parseConfig({
    model_type: "huginn_raven",
    n_embd: 32,
    num_attention_heads: 4,
    intermediate_size: 48,
    vocab_size: 40,
    block_size: 64,
    qk_bias: true,
    ...shape,
  });
  const cost: CostModel = costModel(config);
  let backend: Backend;
  beforeAll(async () => {
    backend = await createReferenceBackend(config, randomWeights(config));
  });

  it.each([
    [1, 0],
    [1, 9],
    [7, 0],
    [5, 12],
  ])("is that of %i rows after %i positions", async (rows, before) => {
    const sequence = backend.openSequence({ capacity: 32, maxIterations: 3, cache: parseCacheStrategy("latest-m4") });
    const enter = (n: number) => backend.prelude(Array.from({ length: n }, (_, i) => ({ sequence, token: i })));
    if (before > 0) {
      const settled = await enter(before);
      await backend.iterate(settled);
      await backend.readout(settled, []);
    }
    const context = before + rows;
    let inFlight: Row[] = [];
    expect(await count(async () => (inFlight = await enter(rows)))).toBeCloseTo(cost.prelude(rows, context).units, 15);
    expect(await count(() => backend.iterate(inFlight))).toBeCloseTo(cost.iteration(rows, context).units, 15);

    // the reference takes every row through the whole coda; what is needed after the last keys is one row
    const { width, heads, headDim, mlpWidth } = config;
    let attended = 0;
    for (let position = before; position < context - 1; position++) attended += 2 * heads * headDim * (position + 1);
    const spared = ((rows - 1) * (2 * heads * headDim * width + 3 * mlpWidth * width) + attended) / MACS_PER_UNIT;
    const done = await count(() => backend.readout(inFlight, inFlight.slice(-1)));
    expect(done - spared).toBeCloseTo(cost.readout(rows, context).units, 15);
    backend.closeSequence(sequence);
  });

  it("counts logit rules' looks as readouts, and nothing for rules that never look", () => {
    expect(cost.check("kl", 5, 5, 9)).toEqual(cost.readout(5, 9));
    expect(cost.check("none", 5, 5, 9).units).toBe(0);
  });

  it("grows with rows and context", () => {
    for (const kind of ["prelude", "iteration", "readout"] as const) {
      expect(cost[kind](4, 9).units).toBeGreaterThan(cost[kind](3, 9).units);
      expect(cost[kind](4, 9).units).toBeGreaterThan(cost[kind](4, 8).units);
      expect(cost[kind](4, 9).bytes).toBeGreaterThan(cost[kind](4, 8).bytes);
    }
  });
});

describe("the cost of a model without an adapter", () => {
  it("of an iteration is that of its blocks alone", async () => {
    const config = parseConfig(OURO);
    const backend = await createReferenceBackend(config, randomWeights(config));
    const sequence = backend.openSequence({ capacity: 8, maxIterations: 3, cache: parseCacheStrategy("latest-m4") });
    const rows = await backend.prelude([1, 2, 3].map((token) => ({ sequence, token })));
    expect(await count(() => backend.iterate(rows))).toBeCloseTo(costModel(config).iteration(3, 3).units, 15);
  });
});

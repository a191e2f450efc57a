/**
 * Golden records that only retrofitted checkpoints have: a long prompt, a state that is given, and how a state is drawn.
 */
import { seededState } from "../../engine/decode/initial-state.ts";
import type { Row, Sequence } from "../../engine/port/backend.ts";
import type { GoldenCase } from "./case.ts";
import { begin, concat, open, promptIds, tensor } from "./driver.ts";
import { all, check, close, same, type Outcome, type Result } from "./report.ts";

export async function retrofitRecords(c: GoldenCase): Promise<Result[]> {
  const ids = c.tensors.get("long.ids")!.data;
  const given = c.tensors.get("warm.input_states")!.data as Float32Array;
  const { width } = c.config;
  const warm = (sequence: Sequence) =>
    c.backend.prelude(promptIds(c).map((token, i) => ({ sequence, token, state: given.slice(i * width, (i + 1) * width) })));
  return [
    await check("long.logits.r2", async () =>
      close(await logits(c, 2, (sequence) => begin(c, sequence, [...ids])), tensor(c, "long.logits.r2")),
    ),
    await check("warm.logits.r1", async () => close(await logits(c, 1, warm), tensor(c, "warm.logits.r1"))),
    await check("warm.logits.r3", async () => close(await logits(c, 3, warm), tensor(c, "warm.logits.r3"))),
    await check("init_state", () => initialStates(c)),
  ];
}

async function logits(c: GoldenCase, iterations: number, start: (sequence: Sequence) => Row[] | Promise<Row[]>): Promise<Float32Array> {
  const sequence = open(c, iterations);
  const rows = await start(sequence);
  for (let t = 0; t < iterations; t++) await c.backend.iterate(rows);
  const out = concat(await c.backend.readout(rows, rows));
  c.backend.closeSequence(sequence);
  return out;
}

/** Draws of our own have the authors' deviation and bound; where the state begins as e there are none. */
function initialStates({ config, json }: GoldenCase): Outcome {
  const { mode, std, cut, embed_scale: scale } = json.init_state!;
  const draw = seededState(config, 1);
  if (mode !== "random") return same([config.recurrence.start, draw(0)], ["embedded", undefined]);
  const values = Array.from({ length: 400 }, (_, position) => [...draw(position)!]).flat();
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return all(
    close([config.stateStd], [std * scale], 1e-9),
    close([deviation / config.stateStd], [0.9866], 0.02), // of a normal cut at three deviations
    same(largest <= cut * scale && largest > 0.9 * cut * scale, true),
  );
}

/**
 * The last states of short texts that stand alone: options to be matched, texts to be embedded. One iteration each, as
 * more do not change what words mean; as many together as fit into memory. Not here: what the states are mapped to.
 */
import { NO_READ, type DecisionPolicy, type PassShape } from "../decision-policy.ts";
import type { Backend, LatentState, Row, Sequence } from "../port/backend.ts";
import { LoadCount, passCache } from "./passes.ts";
import { inCalls } from "./sequences.ts";

/** Something whose tokens are to be read alone. */
export interface LoneText {
  readonly tokens: readonly number[];
}

/** Cuts texts into batches of at most `limitBytes` each, if a single one is not larger by itself. */
export function batchLone<T extends LoneText>(texts: readonly T[], backend: Backend, limitBytes: number): T[][] {
  const cache = passCache(backend.config);
  const batches: T[][] = [];
  let left = 0;
  for (const text of texts) {
    const bytes = backend.sequenceBytes({ capacity: text.tokens.length, maxIterations: 1, cache });
    if (bytes > left) {
      batches.push([]);
      left = limitBytes;
    }
    batches.at(-1)!.push(text);
    left -= bytes;
  }
  return batches;
}

/** What a batch costs. */
export function loneShape(batch: readonly LoneText[]): PassShape {
  const load = new LoadCount();
  for (const { tokens } of batch) load.add(tokens.length, 0, 0);
  return { rows: load.rows, eachRead: NO_READ, lastRead: NO_READ, most: 1 };
}

/**
 * Computes a batch, and tells the policy.
 * @param index of the batch in the decision's shape
 * @param use   gets each text's last state, in order; states are not the callee's to keep
 */
export async function runLone<T extends LoneText>(
  batch: readonly T[],
  index: number,
  backend: Backend,
  policy: DecisionPolicy,
  use: (text: T, state: LatentState) => void,
): Promise<void> {
  const shape = loneShape(batch);
  policy.begin(shape, index);
  const cache = passCache(backend.config);
  const open: Sequence[] = [];
  try {
    for (const { tokens } of batch) open.push(backend.openSequence({ capacity: tokens.length, maxIterations: 1, cache }));
    const inputs = batch.flatMap(({ tokens }, i) => tokens.map((token) => ({ sequence: open[i]!, token })));
    const rows: Row[] = [];
    await inCalls(backend, inputs, async (part) => void rows.push(...(await backend.prelude(part))));
    await inCalls(backend, rows, (part) => backend.iterate(part));
    policy.ran(shape.rows, false);
    let end = 0;
    for (const text of batch) use(text, await backend.latent(rows[(end += text.tokens.length) - 1]!, "raw"));
  } finally {
    for (const sequence of open) backend.closeSequence(sequence);
  }
}

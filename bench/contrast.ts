/**
 * fathom bench contrast: whether it pays to read answers out against the first iteration, as LoopCD does (arXiv 2610.02185):
 * logits_R + w (logits_R - logits_1), without training. Greedy answers at several depths, by weights w; 0 is the plain readout.
 */
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { Backend } from "../engine/port/backend.ts";
import type { Model } from "../engine/port/model.ts";
import type { Row } from "../engine/port/rows.ts";
import { score, type Problem } from "../cli/eval-score.ts";

export interface ContrastRow {
  readonly task: string;
  readonly iterations: number;
  readonly n: number;
  /** Share answered exactly, 0..1, by weight. */
  readonly accuracy: Readonly<Record<string, number>>;
}

/** @param onAnswer told after each answer */
export async function benchContrast(
  model: Model,
  problems: readonly Problem[],
  depths: readonly number[],
  weights: readonly number[],
  onAnswer: () => void,
): Promise<ContrastRow[]> {
  const tasks = [...new Set(problems.map(({ task }) => task))];
  const rows: ContrastRow[] = [];
  for (const task of tasks)
    for (const iterations of depths) {
      const own = problems.filter((problem) => problem.task === task);
      const accuracy: Record<string, number> = {};
      for (const weight of weights) {
        const contrasted = { ...model, backend: contrasting(model.backend, weight) };
        let right = 0;
        for (const problem of own) {
          right += (await score(contrasted, problem, iterations, NEVER_EXIT)).right ? 1 : 0;
          onAnswer();
        }
        accuracy[weight] = right / own.length;
      }
      rows.push({ task, iterations, n: own.length, accuracy });
    }
  return rows;
}

/** A backend that passes everything on, and reads the last row out against what it said after one iteration. */
function contrasting(inner: Backend, weight: number): Backend {
  let rows: readonly Row[] = [];
  let first: Float32Array | undefined;
  const passedOn = Object.fromEntries(
    (["measure", "latent", "release", "openSequence", "closeSequence", "truncate", "sequenceBytes", "memory", "pressure"] as const).flatMap(
      (name) => (inner[name] === undefined ? [] : [[name, (inner[name] as (...values: unknown[]) => unknown).bind(inner)]]),
    ),
  );
  return Object.assign(Object.create(inner) as Backend, passedOn, {
    async prelude(inputs: Parameters<Backend["prelude"]>[0]) {
      rows = await inner.prelude(inputs);
      first = undefined;
      return rows;
    },
    async iterate(moving: readonly Row[]) {
      await inner.iterate(moving);
      first ??= (await inner.readout(rows, rows.slice(-1)))[0]!.slice();
    },
    async readout(read: readonly Row[], heads: readonly Row[]) {
      const logits = await inner.readout(read, heads);
      const last = heads.indexOf(rows.at(-1)!);
      return logits.map((values, i) => (i === last ? values.map((v, k) => v + weight * (v - first![k]!)) : values));
    },
    // shorter ways to a token never show their logits
    argmax: undefined,
    openChain: undefined,
    makeTokens: undefined,
  });
}

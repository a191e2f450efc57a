/**
 * The reference's own batching: prompts of equal length advance in lockstep, and a call goes on until every one of
 * them has exited. A sequence's logits and carried state are those of its own exit, but its cache holds every
 * iteration that the batch ran, and coda keys of the batch's last read-out. Kept to reproduce the authors' batched
 * results; to serve several requests use the scheduler, which freezes each row at its own exit.
 */
import type { Backend, LatentState, Row, Sequence } from "../../../engine/port/backend.ts";
import { FathomError } from "../../../engine/errors.ts";
import type { ExitRule } from "../../../engine/exit-rule.ts";
import { createEvaluator, exitInput, isChecked, observe, shouldExit, type ExitEvaluator } from "../../../engine/decode/exit.ts";
import type { GenerateOptions } from "../../../engine/decode/generate.ts";
import { zeroState, type InitialState } from "../../../engine/decode/initial-state.ts";
import { checkLengths } from "../../../engine/decode/lengths.ts";
import { GREEDY, sample } from "../../../engine/decode/sample.ts";

export type LockstepOptions = Omit<GenerateOptions, "prompt" | "initialState" | "iterations" | "breathe"> & {
  readonly iterations: number;
  /** Of equal length. */
  readonly prompts: readonly (readonly number[])[];
  /** One a prompt. [default zeros] */
  readonly initialStates?: readonly InitialState[];
};

export interface LockstepToken {
  readonly token: number;
  /** Iterations until this sequence's own exit. */
  readonly iterations: number;
}

/** Tokens of every sequence, step by step, until all have met a stop token or the limit. */
export async function* generateLockstep(backend: Backend, options: LockstepOptions): AsyncGenerator<LockstepToken[], void, undefined> {
  const { prompts, maxTokens, iterations, exit, cache, stopTokens, warmStart = "off" } = options;
  const length = prompts[0]?.length ?? 0;
  checkLengths(backend.config, length, maxTokens);
  if (prompts.some((p) => p.length !== length))
    throw new FathomError(
      "invalid_request",
      "Prompts of a lockstep batch must have equal lengths; use the scheduler for others.",
      "prompts",
    );
  const sequences = prompts.map(() => backend.openSequence({ capacity: length + maxTokens - 1, maxIterations: iterations, cache }));
  try {
    const tokens = prompts.map((p) => [...p]);
    const stopped = prompts.map(() => false);
    let carried: (LatentState | undefined)[] = prompts.map(() => undefined);
    for (let index = 0; index < maxTokens && stopped.includes(false); index++) {
      const rows = await beginStep(backend, sequences, tokens, carried, options.initialStates);
      const lanes = rows.map((own) => new Lane(own, exit, backend.config.vocabSize));
      await thinkTogether(backend, lanes, exit, iterations, index === 0, options.lastReadout ?? "final");
      if (warmStart !== "off")
        carried = await Promise.all(lanes.map(async (lane) => lane.state ?? (await backend.latent(lane.rows.at(-1)!, "raw"))));
      for (const own of rows) backend.release(own);
      const step = lanes.map((lane, b) => ({
        token: sample(lane.logits!, options.sampling ?? GREEDY, tokens[b]!, index),
        iterations: lane.exitedAt ?? iterations,
      }));
      step.forEach(({ token }, b) => {
        tokens[b]!.push(token);
        stopped[b] ||= stopTokens.has(token);
      });
      yield step;
    }
  } finally {
    for (const sequence of sequences) backend.closeSequence(sequence);
  }
}

/** One sequence of the batch during one call. */
class Lane {
  readonly rows: readonly Row[];
  readonly evaluator: ExitEvaluator;
  exitedAt: number | undefined;
  logits: Float32Array | undefined;
  /** The last row's state at this lane's exit. */
  state: LatentState | undefined;

  constructor(rows: readonly Row[], exit: ExitRule, vocabSize: number) {
    this.rows = rows;
    this.evaluator = createEvaluator(exit.criterion, vocabSize);
  }
}

async function beginStep(
  backend: Backend,
  sequences: readonly Sequence[],
  tokens: readonly (readonly number[])[],
  carried: readonly (LatentState | undefined)[],
  initialStates: readonly InitialState[] | undefined,
): Promise<Row[][]> {
  const rows: Row[][] = [];
  for (const [b, sequence] of sequences.entries()) {
    const start = sequence.length;
    const state = initialStates?.[b] ?? zeroState;
    rows.push(
      await backend.prelude(tokens[b]!.slice(start).map((token, i) => ({ sequence, token, state: carried[b] ?? state(start + i) }))),
    );
  }
  return rows;
}

async function thinkTogether(
  backend: Backend,
  lanes: readonly Lane[],
  exit: ExitRule,
  iterations: number,
  isPrefill: boolean,
  lastReadout: "final" | "checked",
): Promise<void> {
  const rows = lanes.flatMap((lane) => lane.rows);
  const input = exitInput(exit.criterion);
  const readLanes = async (wanted: (lane: Lane) => boolean): Promise<void> => {
    const logits = await backend.readout(
      rows,
      lanes.map((lane) => lane.rows.at(-1)!),
    );
    lanes.forEach((lane, b) => {
      if (wanted(lane)) lane.logits = logits[b]!;
    });
  };
  for (let t = 0; t < iterations && lanes.some((lane) => lane.exitedAt === undefined); t++) {
    await backend.iterate(rows);
    if (!isChecked(exit, t, isPrefill)) continue;
    if (input === "logits") await readLanes((lane) => lane.exitedAt === undefined);
    const leaving: Lane[] = [];
    for (const lane of lanes) {
      const seen = input === "change" || input === "states" ? await observe(backend, lane.rows, input) : { logits: lane.logits! };
      if (lane.exitedAt === undefined && shouldExit(exit, lane.evaluator.next(seen))) leaving.push(lane);
    }
    if (leaving.length > 0 && input !== "logits") await readLanes((lane) => leaving.includes(lane));
    for (const lane of leaving) {
      lane.exitedAt = t + 1;
      lane.state = await backend.latent(lane.rows.at(-1)!, "raw");
    }
  }
  const unread = (lane: Lane): boolean => lane.exitedAt === undefined && (lane.logits === undefined || lastReadout === "final");
  if (lanes.some(unread)) await readLanes(unread);
}

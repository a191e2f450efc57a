/**
 * How tokens made on the device think: all iterations in one workgroup, or one dispatch after the other. Which is faster
 * depends on the device (one workgroup is a small part of a large GPU, and most of a small or simulated one), so both
 * make a few tokens when the first are asked for, and the faster stays.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { Backend, MaybePromise } from "../engine/port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../engine/port/chain.ts";
import type { Program, WholeThought } from "./program.ts";

/** What a trial needs of the backend that it runs on. */
export interface TrialHost extends Pick<Backend, "openSequence" | "closeSequence" | "prelude" | "readout"> {
  openChain(options: ChainOptions): TokenChain | undefined;
  makeTokensBy(
    thought: MaybePromise<WholeThought>,
    chains: readonly TokenChain[],
    limits: readonly (readonly number[])[],
  ): Promise<MadeToken[][]>;
}

/** Short: a user waits for it. The first run of each way warms it up. */
const TRIAL = { runs: 2, tokens: 1, iterations: 4 } as const;

/** The faster way. @param whole the thought in one workgroup */
export async function fasterThought(backend: TrialHost, whole: Program): Promise<WholeThought> {
  const least = { whole: Infinity, steps: Infinity };
  for (let run = 0; run < TRIAL.runs; run++) {
    const [wholeMs, stepsMs] = [await trialMs(backend, whole), await trialMs(backend, undefined)];
    if (run === 0) continue;
    least.whole = Math.min(least.whole, wholeMs);
    least.steps = Math.min(least.steps, stepsMs);
  }
  return least.whole < least.steps ? whole : undefined;
}

/** Milliseconds of a few tokens on a sequence of their own. */
async function trialMs(backend: TrialHost, thought: WholeThought): Promise<number> {
  const { tokens, iterations } = TRIAL;
  const cache = parseCacheStrategy("full");
  const sequence = backend.openSequence({ capacity: 1 + tokens, maxIterations: iterations, cache });
  try {
    const [row] = await backend.prelude([{ sequence, token: 0 }]);
    await backend.readout([row!], [row!]);
    const chain = backend.openChain({ ...TRIAL_CHAIN, row: row!, maxTokens: tokens })!;
    const start = performance.now();
    await backend.makeTokensBy(thought, [chain], [Array.from({ length: tokens }, () => iterations)]);
    return performance.now() - start;
  } finally {
    backend.closeSequence(sequence);
  }
}

const TRIAL_CHAIN: Omit<ChainOptions, "row" | "maxTokens"> = {
  token: 0,
  exit: NEVER_EXIT,
  stopTokens: new Set(),
  warmStart: "off",
  initialState: () => undefined,
};

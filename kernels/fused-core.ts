/**
 * How tokens made on the device run the core: all iterations in one dispatch, or one dispatch after the other. Which is
 * faster depends on the device (one workgroup is a small part of a large GPU, and most of a small or simulated one), so both
 * make a few tokens when the first are asked for, and the faster stays.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { Backend, MaybePromise } from "../engine/port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../engine/port/chain.ts";
import type { Program, FusedCore } from "./program.ts";

/** What a trial needs of the backend that it runs on. */
export interface TrialHost extends Pick<Backend, "openSequence" | "closeSequence" | "prelude" | "readout"> {
  openChain(options: ChainOptions): TokenChain | undefined;
  makeTokensBy(
    core: MaybePromise<FusedCore>,
    chains: readonly TokenChain[],
    limits: readonly (readonly number[])[],
  ): Promise<MadeToken[][]>;
}

/** Short: a user waits for it. The first run of each way warms it up. */
const TRIAL = { runs: 2, tokens: 1, iterations: 4 } as const;

/** The faster way. @param fused the core in one dispatch */
export async function fasterCore(backend: TrialHost, fused: Program): Promise<FusedCore> {
  const least = { fused: Infinity, steps: Infinity };
  for (let run = 0; run < TRIAL.runs; run++) {
    const [fusedMs, stepsMs] = [await trialMs(backend, fused), await trialMs(backend, undefined)];
    if (run === 0) continue;
    least.fused = Math.min(least.fused, fusedMs);
    least.steps = Math.min(least.steps, stepsMs);
  }
  return least.fused < least.steps ? fused : undefined;
}

/** Milliseconds of a few tokens on a sequence of their own. */
async function trialMs(backend: TrialHost, core: FusedCore): Promise<number> {
  const { tokens, iterations } = TRIAL;
  const cache = parseCacheStrategy("full");
  const sequence = backend.openSequence({ capacity: 1 + tokens, maxIterations: iterations, cache });
  try {
    const [row] = await backend.prelude([{ sequence, token: 0 }]);
    await backend.readout([row!], [row!]);
    const chain = backend.openChain({ ...TRIAL_CHAIN, row: row!, maxTokens: tokens })!;
    const start = performance.now();
    await backend.makeTokensBy(core, [chain], [Array.from({ length: tokens }, () => iterations)]);
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

/**
 * A backend that makes tokens by itself, out of one that does not: its chains run the port's calls, so that the token
 * loop over chunks can be compared with the loop that goes step by step, without a device.
 */
import { forwardGreedy } from "../../engine/decode/forward.ts";
import type { Backend, LatentState } from "../../engine/port/backend.ts";
import type { ChainOptions, MadeToken, TokenChain } from "../../engine/port/chain.ts";

class Chain implements TokenChain {
  readonly options: ChainOptions;
  left: number;
  token: number;
  carried: { raw: LatentState; normalised: LatentState } | undefined;

  constructor(options: ChainOptions) {
    this.options = options;
    this.left = options.maxTokens;
    this.token = options.token;
  }

  get sequence() {
    return this.options.row.sequence;
  }
}

export interface ChainBackend extends Backend {
  /** Tokens of every chunk that was asked for. */
  readonly asked: number[];
}

/** @param most tokens that any chain makes before it falls short [default Infinity] */
export function withChains(inner: Backend, most = Infinity): ChainBackend {
  const asked: number[] = [];
  const made = new Map<Chain, number>();
  let turn: Promise<unknown> = Promise.resolve();
  const next = async (chain: Chain, limit: number): Promise<MadeToken> => {
    const { exit, warmStart, initialState } = chain.options;
    const state = warmStart === "off" ? initialState(chain.sequence.length) : chain.carried![warmStart];
    const [row] = await inner.prelude([{ sequence: chain.sequence, token: chain.token, state }]);
    const { token, iterations, exited, exitValues } = await forwardGreedy(inner, [row!], { iterations: limit, exit, isPrefill: false });
    await carry(chain, row!);
    inner.release([row!]);
    chain.token = token;
    return { token, iterations, exited, exitValues };
  };
  const carry = async (chain: Chain, row: ChainOptions["row"]): Promise<void> => {
    chain.carried = { raw: await inner.latent(row, "raw"), normalised: await inner.latent(row, "normalised") };
  };
  const chunk = async (chain: Chain, limits: readonly number[]): Promise<MadeToken[]> => {
    const tokens: MadeToken[] = [];
    if (!made.has(chain)) {
      await carry(chain, chain.options.row);
      inner.release([chain.options.row]);
      made.set(chain, 0);
    }
    for (const limit of limits) {
      if (chain.options.stopTokens.has(chain.token) || made.get(chain)! >= most) break;
      tokens.push(await next(chain, limit));
      made.set(chain, made.get(chain)! + 1);
    }
    return tokens;
  };
  const bound = Object.fromEntries(
    METHODS.flatMap((name) => (inner[name] === undefined ? [] : [[name, (inner[name] as (...args: unknown[]) => unknown).bind(inner)]])),
  ) as unknown as Backend;
  return {
    ...bound,
    name: inner.name,
    config: inner.config,
    maxRows: inner.maxRows,
    asked,
    openChain: (options) => (["kl", "entropy-diff"].includes(options.exit.criterion) ? undefined : new Chain(options)),
    makeTokens(chains, limits) {
      limits.forEach((own, i) => {
        asked.push(own.length);
        (chains[i] as Chain).left -= own.length;
      });
      // one after the other, as a queue of submits is
      const all = turn.then(async () => {
        const tokens: MadeToken[][] = [];
        for (const [i, chain] of chains.entries()) tokens.push(await chunk(chain as Chain, limits[i]!));
        return tokens;
      });
      turn = all.catch(() => undefined);
      return all;
    },
  };
}

const METHODS = [
  "sequenceBytes",
  "openSequence",
  "closeSequence",
  "truncate",
  "prelude",
  "iterate",
  "measure",
  "pressure",
  "readout",
  "argmax",
  "latent",
  "release",
  "memory",
] as const;

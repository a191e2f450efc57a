/**
 * A completion as the token loop sees it: what was asked for, how far it has come, what each token cost. Data only; the
 * loop is generate.ts, and chunks.ts where a backend makes tokens by itself.
 */
import type { CacheStrategy } from "../cache-strategy.ts";
import type { DepthPolicy } from "../depth-policy.ts";
import type { ExitRule } from "../exit-rule.ts";
import type { Backend, LatentState, Sequence } from "../port/backend.ts";
import type { InitialState } from "./initial-state.ts";
import type { TokenLogprobs } from "./logprobs.ts";
import type { Sampling } from "./sample.ts";

/** What a new token's state starts from: s_0, or the state of the token before (continuous compute). */
export type WarmStart = "off" | "raw" | "normalised";

/** How tokens are asked for from a backend that makes them by itself. */
export interface ChunkOptions {
  /** Tokens of a chunk. [default 16] */
  readonly size?: number;
  /**
   * Whether the next chunk is begun before the last one is read: faster, but a stop token wastes it. A policy that
   * reconciles its account after each chunk is never run ahead of. [default true]
   */
  readonly ahead?: boolean;
}

/** Options of `generate`: prompt, depth, cache and sampling. */
export interface GenerateOptions {
  /** Token ids, at least one. */
  readonly prompt: readonly number[];
  /** Most tokens to generate, at least one. */
  readonly maxTokens: number;
  /** Most core iterations of a token, by its index in the completion; the prompt's call is index 0. */
  readonly iterations: number | ((tokenIndex: number) => number);
  readonly exit: ExitRule;
  /** Decides depth call by call, in place of `iterations` and `exit`. [default those two] */
  readonly policy?: DepthPolicy;
  readonly cache: CacheStrategy;
  /** The completion ends with the first of these, which is yielded, too. */
  readonly stopTokens: ReadonlySet<number>;
  /** [default zeros] */
  readonly initialState?: InitialState;
  /** [default "off"] */
  readonly warmStart?: WarmStart;
  /** [default greedy] */
  readonly sampling?: Sampling;
  /** Which state the last row of the prompt is read out from, as in ForwardOptions. [default "final"] */
  readonly lastReadout?: "final" | "checked";
  /** Report log-probabilities, with this many alternatives; undefined: none. */
  readonly logprobs?: number;
  /** Where the backend makes tokens by itself: how many at a time; false: one by one. [default 16, the next chunk begun ahead] */
  readonly chunks?: ChunkOptions | false;
  /** Awaited between tokens: where a host lets streams flow and other requests in. */
  readonly breathe?: () => Promise<void>;
}

/** A token that `generate` made, and what it took. */
export interface GeneratedToken {
  readonly token: number;
  /** Index in the completion. */
  readonly index: number;
  /** Core iterations of the call that produced it: of its deepest row, where rows stop one by one. */
  readonly iterations: number;
  /** Core iterations of all rows of that call, summed. */
  readonly rowIterations: number;
  /** Times that coda and head were run in that call. */
  readonly readouts: number;
  /** The limit that the call had. */
  readonly limit: number;
  /** Rows of that call: the prompt's length for index 0, else 1. */
  readonly rows: number;
  readonly exited: boolean;
  readonly exitValues: readonly number[];
  /** Where `logprobs` asked for them. */
  readonly logprobs?: TokenLogprobs;
  /** Why the completion ends here; undefined while it goes on. */
  readonly finish: "stop" | "length" | undefined;
}

/** A token of which it is not known yet whether it is the last. */
export type UnfinishedToken = Omit<GeneratedToken, "finish">;

/** Why a completion ends with a token, whatever its policy says; undefined: it may go on. */
export function endsWith({ stopTokens, maxTokens }: GenerateOptions, { token, index }: UnfinishedToken): GeneratedToken["finish"] {
  return stopTokens.has(token) ? "stop" : index + 1 >= maxTokens ? "length" : undefined;
}

/** A completion under way. */
export interface Completion {
  readonly backend: Backend;
  readonly sequence: Sequence;
  readonly policy: DepthPolicy;
  readonly options: GenerateOptions;
  /** Prompt and completion so far. */
  readonly tokens: number[];
  /** What the next token's state starts from, under a warm start. */
  carried: LatentState | undefined;
}

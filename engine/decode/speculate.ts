/**
 * Self-speculative decoding (paper section 6.4): draft a few tokens with few iterations, verify them together at full
 * depth. The drafter is the model itself, so there is nothing else to load.
 *
 * Strict mode gives exactly the greedy tokens of full depth, and goes on from the drafted states instead of starting
 * anew: where iterations keep their own cache slots, a drafted row at iteration d is what the full computation would
 * have there, too. Where slots are shared neither holds: rows verified together read each other's present iteration,
 * one after the other they read the last one. The reference throws the drafted states away in any case, and below
 * threshold 1 accepts what is likely enough.
 */
import type { Backend, Row, Sequence } from "../port/backend.ts";
import type { CacheStrategy } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import { NEVER_EXIT } from "../exit-rule.ts";
import { argmax, probabilities } from "./exit.ts";
import { checkLengths } from "./lengths.ts";
import { zeroState, type InitialState } from "./initial-state.ts";
import { forward } from "./forward.ts";

/** Options of `speculate`: drafts at few iterations, verified at full depth. */
export interface SpeculateOptions {
  readonly prompt: readonly number[];
  /** Least tokens to make, unless a stop token comes; the last verification may give more. */
  readonly maxTokens: number;
  /** Full depth. */
  readonly iterations: number;
  /** Depth of a draft, below `iterations`. */
  readonly draftIterations: number;
  /** Tokens drafted at a time. */
  readonly lookahead: number;
  /** Refuse settings whose tokens could differ from greedy decoding at full depth. [default false] */
  readonly strict?: boolean;
  /** 1: accept only the verifier's own choice. Below: accept p(draft) >= threshold * max p. [default 1] */
  readonly threshold?: number;
  readonly cache: CacheStrategy;
  readonly stopTokens: ReadonlySet<number>;
  readonly initialState?: InitialState;
  /** Go on from drafted states; only where the cache shares no slots. [default true where possible] */
  readonly reuseDrafts?: boolean;
}

/** The tokens that one verification gained; the first of all comes from the prompt alone. */
export interface VerifiedTokens {
  readonly tokens: readonly number[];
  /** Tokens drafted, 0 for the prompt's own. */
  readonly drafted: number;
  /** Core iterations times rows that this step cost, drafts included. */
  readonly rowIterations: number;
  readonly finish: "stop" | "length" | undefined;
}

/**
 * Decodes by self-speculation: drafts tokens at few iterations, and verifies them together at full depth.
 * @throws {FathomError} as `generate` does, and invalid_request for impossible drafts
 * @example
 * ```ts
 * for await (const { tokens } of speculate(model.backend, {
 *   prompt: model.text.encode("Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"),
 *   maxTokens: 8,
 *   iterations: 16,
 *   draftIterations: 4,
 *   lookahead: 4,
 *   cache: parseCacheStrategy("full"),
 *   stopTokens: new Set(model.config.eosTokens),
 * }))
 *   console.log(model.text.decode(tokens));
 * ```
 */
export async function* speculate(backend: Backend, options: SpeculateOptions): AsyncGenerator<VerifiedTokens, void, undefined> {
  const { prompt, maxTokens, iterations, lookahead, cache, stopTokens, initialState = zeroState } = options;
  checkLengths(backend.config, prompt.length, maxTokens + lookahead);
  checkDraft(options);
  const sequence = backend.openSequence({
    capacity: prompt.length + maxTokens + lookahead,
    maxIterations: iterations,
    cache,
    prompt: prompt.length,
    rows: lookahead,
  });
  const tokens = [...prompt];
  const finishOf = (gained: readonly number[]): "stop" | "length" | undefined =>
    gained.some((t) => stopTokens.has(t)) ? "stop" : tokens.length - prompt.length >= maxTokens ? "length" : undefined;
  try {
    const rows = await backend.prelude(prompt.map((token, i) => ({ sequence, token, state: initialState(i) })));
    const { logits } = await forward(backend, rows, { iterations, exit: NEVER_EXIT, isPrefill: true });
    backend.release(rows);
    tokens.push(argmax(logits));
    let gained: readonly number[] = tokens.slice(-1);
    let finish = finishOf(gained);
    yield { tokens: gained, drafted: 0, rowIterations: iterations * prompt.length, finish };
    while (finish === undefined) {
      const step = await draftAndVerify(backend, sequence, tokens, options, initialState);
      gained = untilStop(step.tokens, stopTokens);
      tokens.push(...gained);
      finish = finishOf(gained);
      yield { ...step, tokens: gained, finish };
    }
  } finally {
    backend.closeSequence(sequence);
  }
}

/** Whether a drafted state is what the full computation has at that iteration. */
function draftsAreExact(cache: CacheStrategy): boolean {
  return cache.sharing.kind === "none" && cache.lookup !== "always-last" && cache.lookup !== "randomized";
}

async function draftAndVerify(
  backend: Backend,
  sequence: Sequence,
  tokens: readonly number[],
  options: SpeculateOptions,
  initialState: InitialState,
): Promise<Omit<VerifiedTokens, "finish">> {
  const { iterations, draftIterations, lookahead, cache, threshold = 1 } = options;
  const reuse = options.reuseDrafts ?? draftsAreExact(cache);
  const start = sequence.length;
  const inputs = [tokens.at(-1)!];
  const drafts: number[] = [];
  let rows: Row[] = [];
  for (let i = 0; i < lookahead; i++) {
    const drafted = await backend.prelude([{ sequence, token: inputs[i]!, state: initialState(start + i) }]);
    const { logits } = await forward(backend, drafted, { iterations: draftIterations, exit: NEVER_EXIT, isPrefill: false });
    drafts.push(argmax(logits));
    inputs.push(drafts[i]!);
    rows.push(...drafted);
  }
  inputs.pop();
  let rowIterations = draftIterations * lookahead;
  if (!reuse) {
    backend.release(rows);
    backend.truncate(sequence, start);
    rows = await backend.prelude(inputs.map((token, i) => ({ sequence, token, state: initialState(start + i) })));
  }
  const remaining = reuse ? iterations - draftIterations : iterations;
  for (let t = 0; t < remaining; t++) await backend.iterate(rows);
  rowIterations += remaining * lookahead;
  const logits = await backend.readout(rows, rows);
  const accepted = countAccepted(drafts, logits, threshold);
  backend.release(rows);
  const verified = accepted < lookahead ? [...drafts.slice(0, accepted), argmax(logits[accepted]!)] : drafts;
  backend.truncate(sequence, start + Math.min(accepted + 1, lookahead));
  return { tokens: verified, drafted: lookahead, rowIterations };
}

/** Drafts in a row that the verifier would have chosen, or finds likely enough. */
function countAccepted(drafts: readonly number[], logits: readonly Float32Array[], threshold: number): number {
  const miss = drafts.findIndex((draft, i) => {
    if (threshold >= 1) return argmax(logits[i]!) !== draft;
    const p = probabilities(logits[i]!);
    return p[draft]! < threshold * p[argmax(p)]!;
  });
  return miss < 0 ? drafts.length : miss;
}

function untilStop(tokens: readonly number[], stopTokens: ReadonlySet<number>): readonly number[] {
  const at = tokens.findIndex((t) => stopTokens.has(t));
  return at < 0 ? tokens : tokens.slice(0, at + 1);
}

function checkDraft({ iterations, draftIterations, lookahead, threshold = 1, reuseDrafts, strict, cache }: SpeculateOptions): void {
  const refuse = (what: string, param: string): never => {
    throw new FathomError("invalid_request", `Self-speculation: ${what}.`, param);
  };
  if (!Number.isInteger(draftIterations) || draftIterations < 1 || draftIterations >= iterations)
    refuse(`draftIterations must be from 1 to ${iterations - 1} (below the full ${iterations}), not ${draftIterations}`, "draftIterations");
  if (!Number.isInteger(lookahead) || lookahead < 1) refuse(`lookahead must be at least 1, not ${lookahead}`, "lookahead");
  if (!(threshold > 0 && threshold <= 1)) refuse(`threshold must be above 0 and at most 1, not ${threshold}`, "threshold");
  if (strict === true && threshold !== 1)
    refuse(`strict mode accepts only the verifier's choice; threshold ${threshold} would accept others`, "threshold");
  if (strict === true && !draftsAreExact(cache))
    refuse(`strict mode needs a cache whose iterations keep their own slots, such as full, not ${cache.name}`, "cache");
  if (reuseDrafts === true && !draftsAreExact(cache))
    refuse(`drafted states cannot be reused under cache strategy ${cache.name}, whose slots are shared`, "reuseDrafts");
}

/**
 * What a request should get so that its answer is as good as it is alone: more than its least, which is one iteration,
 * and less than its worst case, in which no row ever rests. Learned from all requests of an isolate that nothing cut
 * short; before there are any, from what the model's exit rules took on its card's tasks. Not here: who is let in.
 */
import { mayExit } from "../exit-rule.ts";
import type { CostModel } from "./cost.ts";
import type { MeasuredExit } from "./exit-choice.ts";
import type { Grant } from "./grant.ts";
import { callUnits, type RequestPlan } from "./plan.ts";

/** The share of requests that are to need no more than the estimate. */
const SHARE = 0.9;

/** How far one request moves an estimate, relative to it: some fifty requests double or halve it. */
const STEP = 0.1;

/** A prompt may need so much more than the mean of the rule that thinks the least without loss. */
const HEADROOM = 1.5;

/** Tokens of an answer where nothing is known yet: single words and numbers are answers to most questions here. */
const FIRST_TOKENS = 4;

/** What may be said of a model before any request: iterations of a row. */
export function firstIterations(measured: readonly MeasuredExit[], iterations: number): number {
  const most = Math.max(...measured.map(({ accuracy }) => accuracy));
  const good = measured.filter(({ accuracy }) => accuracy >= most - LOSS).map(({ meanIterations }) => meanIterations);
  return good.length === 0 ? iterations : Math.min(iterations, HEADROOM * Math.min(...good));
}

/** Accuracy that fewer iterations may give away (exit-choice.ts). */
const LOSS = 0.015;

/**
 * The fewest iterations after which no task is answered worse than after more, by a card's table of quality.
 * @param otherwise where there is no table
 */
export function sufficientIterations(
  quality: readonly { readonly accuracy: Readonly<Record<string, number>> }[],
  otherwise: number,
): number {
  const depths = quality.map(({ accuracy }) => {
    const most = Math.max(...Object.values(accuracy));
    return Math.min(
      ...Object.keys(accuracy)
        .filter((depth) => accuracy[depth]! >= most - LOSS)
        .map(Number),
    );
  });
  return depths.length === 0 ? otherwise : Math.max(...depths);
}

/** What requests of one kind turn out to need. */
export class NeedEstimate {
  /** Core iterations of each row where no exit rule ends them, that are enough. */
  readonly sufficient: number;
  #iterations: number;
  #tokens: number;

  /** @param iterations of a row, to begin with @param tokens of an answer, to begin with */
  constructor(sufficient: number, iterations: number, tokens = FIRST_TOKENS) {
    this.sufficient = sufficient;
    this.#iterations = iterations;
    this.#tokens = tokens;
  }

  /** Core iterations of a row, in the mean over a request's rows. */
  get iterations(): number {
    return this.#iterations;
  }

  /** Tokens of a completion. */
  get tokens(): number {
    return Math.ceil(this.#tokens);
  }

  /** A request that nothing cut short has taken so much. */
  learn(iterations: number, tokens: number): void {
    this.#iterations = Math.max(1, moved(this.#iterations, iterations));
    this.#tokens = Math.max(1, moved(this.#tokens, tokens));
  }
}

/** An estimate of the value that a share of all values does not exceed, after one more. */
function moved(estimate: number, value: number): number {
  if (!Number.isFinite(value)) return estimate;
  return value > estimate ? Math.min(value, estimate * (1 + STEP * SHARE)) : Math.max(value, estimate * (1 - STEP * (1 - SHARE)));
}

/** What a completion is to get, in work units. */
export interface CompletionNeed {
  /** Prompt and first token. */
  readonly promptUnits: number;
  /** A further call. */
  readonly tokenUnits: number;
  /** Calls, the prompt's among them. */
  readonly calls: number;
}

export interface NeedTerms {
  readonly grant: Grant;
  readonly plan: RequestPlan;
  readonly cost: CostModel;
  readonly estimate: NeedEstimate;
  readonly promptRows: number;
  /** Completions of the prompt. [default 1] */
  readonly choices?: number;
}

export function completionNeed({ grant, plan, cost, estimate, promptRows, choices = 1 }: NeedTerms): CompletionNeed {
  const { criterion } = grant.exit;
  const iterations = neededIterations(grant, plan.depth, estimate);
  const calls = Math.min(plan.calls, 1 + choices * (estimate.tokens - 1));
  const promptUnits = Math.min(grant.units, callUnits(cost, promptRows, promptRows, iterations, criterion));
  // a grant that does not pay for all of it is first of all the prompt's
  const most = calls > 1 ? (grant.units - promptUnits) / (calls - 1) : Infinity;
  return { promptUnits, tokenUnits: Math.min(most, callUnits(cost, 1, promptRows + calls, iterations, criterion)), calls };
}

/** Iterations of a row that a request is to get. */
export function neededIterations({ exit, iterations }: Grant, depth: number, estimate: NeedEstimate): number {
  return Math.max(depth, Math.min(iterations, mayExit(exit) ? estimate.iterations : estimate.sufficient));
}

/** Units of the calls that come after one. @param index the call's */
export function unitsAfter({ tokenUnits, calls }: CompletionNeed, index: number): number {
  return Math.max(0, calls - 1 - index) * tokenUnits;
}

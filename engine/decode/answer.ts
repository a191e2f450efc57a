/**
 * Tokens to text: runs the token loop for a model and yields text as it becomes whole, up to a stop token, a stop
 * string or the length limit. Adds up what the answer cost in iterations.
 */
import type { Model } from "../port/model.ts";
import { TextStream } from "../model/text/text-stream.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "./generate.ts";
import { generateSeveral, type SeveralOptions } from "./several.ts";

/** Options of `answer`: those of `generate`, and texts that end the answer. */
export type AnswerOptions = Omit<GenerateOptions, "stopTokens"> & {
  /** Token ids that end the answer. [default the model's own] */
  readonly stopTokens?: ReadonlySet<number>;
  /** Texts that end the answer; they are not part of it. [default none] */
  readonly stop?: readonly string[];
  /** How an error of the token loop ends the answer; undefined: it fails with that error. [default it fails] */
  readonly endBy?: (error: unknown) => FinishReason | undefined;
};

/** Why an answer ended: by a stop token or stop text, or because no more tokens were allowed. */
export type FinishReason = "stop" | "length";

/** A piece of an answer, made with one token. */
export interface AnswerPiece {
  /** Text that has become final; empty while a character or a possible stop string is incomplete. */
  readonly text: string;
  /** The token made; undefined on a last piece that brings nothing but text which was held back. */
  readonly token: GeneratedToken | undefined;
  /** Why the answer ended; set on the last piece alone. */
  readonly finish: FinishReason | undefined;
}

/** Iterations of the generated tokens: the prompt's call counts for the first of them. */
export interface IterationCount {
  readonly total: number;
  readonly mean: number;
  readonly max: number;
  /** What the limit would have allowed beyond `total`. */
  readonly saved: number;
}

/**
 * Answers a prompt. However it ends, the pieces together are all text of its tokens, up to a stop string.
 * @throws {FathomError} as `generate` does
 * @example
 * ```ts
 * const prompt = model.text.encode("Start with 3. Add 4. Double it. Subtract 9. What is the last digit?");
 * const stream = answer(model, {
 *   prompt,
 *   maxTokens: 8,
 *   iterations: model.card.maxIterations,
 *   exit: model.card.exitRule,
 *   cache: parseCacheStrategy(model.card.cache),
 * });
 * for await (const { text } of stream) console.log(text);
 * ```
 */
export async function* answer(model: Model, options: AnswerOptions): AsyncGenerator<AnswerPiece, void, undefined> {
  const stopTokens = options.stopTokens ?? new Set(model.config.eosTokens);
  const next = writer(model, stopTokens, options.stop);
  try {
    for await (const token of generate(model.backend, { ...options, stopTokens })) {
      const piece = next(token, token.finish);
      yield piece;
      if (piece.finish !== undefined) return;
    }
  } catch (error) {
    const finish = options.endBy?.(error);
    if (finish === undefined) throw error;
    yield next(undefined, finish);
  }
}

/** Options of `answers`: those of `answer`, and how many answers to give. */
export type AnswersOptions = Omit<AnswerOptions, "policy" | "chunks"> & Pick<SeveralOptions, "count" | "policyOf" | "prefix">;

/** A piece of one of several answers. */
export interface ChoicePiece extends AnswerPiece {
  /** Index of the answer, from 0. */
  readonly choice: number;
}

/**
 * Several answers to a prompt, each what `answer` gives for it alone under its own seed; pieces of each come in turn.
 * @throws {FathomError} as `generateSeveral` does
 */
export async function* answers(model: Model, options: AnswersOptions): AsyncGenerator<ChoicePiece, void, undefined> {
  const stopTokens = options.stopTokens ?? new Set(model.config.eosTokens);
  const open = new Map(Array.from({ length: options.count }, (_, choice) => [choice, writer(model, stopTokens, options.stop)] as const));
  const isOver = (choice: number): boolean => !open.has(choice);
  try {
    for await (const { choice, token } of generateSeveral(model.backend, { ...options, stopTokens, isOver })) {
      const piece = open.get(choice)!(token, token.finish);
      if (piece.finish !== undefined) open.delete(choice);
      yield { choice, ...piece };
    }
  } catch (error) {
    const finish = options.endBy?.(error);
    if (finish === undefined) throw error;
    for (const [choice, next] of open) yield { choice, ...next(undefined, finish) };
  }
}

/** Makes pieces of an answer's tokens; with a finish and no token, the last. */
function writer(
  model: Model,
  stopTokens: ReadonlySet<number>,
  stop: readonly string[] = [],
): (token: GeneratedToken | undefined, finish: FinishReason | undefined) => AnswerPiece {
  const stream = new TextStream(model.text);
  const stops = stop.filter((s) => s !== "");
  let held = "";
  return (token, finish) => {
    if (token !== undefined && !stopTokens.has(token.token)) held += stream.push(token.token);
    if (finish !== undefined) held += stream.flush();
    const stopAt = firstStop(held, stops);
    if (stopAt >= 0) return { text: held.slice(0, stopAt), token, finish: "stop" };
    const safe = finish === undefined ? held.length - heldBack(held, stops) : held.length;
    const text = held.slice(0, safe);
    held = held.slice(safe);
    return { text, token, finish };
  };
}

/** Sums up the tokens of an answer. */
export function countIterations(tokens: readonly GeneratedToken[]): IterationCount {
  const each = tokens.map((t) => t.iterations);
  const total = each.reduce((a, b) => a + b, 0);
  return {
    total,
    mean: each.length === 0 ? 0 : total / each.length,
    max: Math.max(0, ...each),
    saved: tokens.reduce((sum, t) => sum + t.limit, 0) - total,
  };
}

/** Index of the first stop string in text, or -1. */
function firstStop(text: string, stops: readonly string[]): number {
  const found = stops.map((s) => text.indexOf(s)).filter((at) => at >= 0);
  return found.length === 0 ? -1 : Math.min(...found);
}

/** Characters at the end of text that may turn out to begin a stop string. */
function heldBack(text: string, stops: readonly string[]): number {
  let most = 0;
  for (const stop of stops)
    for (let n = Math.min(stop.length - 1, text.length); n > most; n--)
      if (text.endsWith(stop.slice(0, n))) {
        most = n;
        break;
      }
  return most;
}

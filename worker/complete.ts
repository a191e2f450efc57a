/**
 * One completion: a checked request and a model -> pieces of text and, at the end, what they cost. Knows nothing of
 * HTTP or of wire shapes, so that routes and RPC share it.
 */
import { answer, countIterations, type FinishReason, type IterationCount } from "../engine/decode/answer.ts";
import type { GeneratedToken } from "../engine/decode/generate.ts";
import type { Sampling } from "../engine/decode/sample.ts";
import { FathomError } from "../engine/errors.ts";
import type { Model } from "../engine/model/model.ts";
import type { ChatMessage } from "../engine/model/tokenizer.ts";
import { sharedModel } from "./schedulers.ts";
import { grant, type BudgetRequest, type Granted, type Limits } from "./budget.ts";

export type Prompt =
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tokens"; readonly tokens: readonly number[] };

export interface CompletionRequest extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
  readonly prompt: Prompt;
  /** Most tokens to generate. [default the card's, less where the context ends] */
  readonly maxTokens: number | undefined;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly stream: boolean;
  /** A stream ends with the usage. */
  readonly includeUsage: boolean;
}

export interface CompletionPiece {
  /** Text of a chat answer starts with its first visible character. May be empty. */
  readonly text: string;
  /** Set on the last piece. */
  readonly report: CompletionReport | undefined;
}

export interface CompletionReport {
  readonly finish: FinishReason;
  readonly promptTokens: number;
  /** The stop token counts, as it was thought about, too. */
  readonly completionTokens: number;
  readonly iterations: IterationCount;
  readonly granted: Granted & { readonly maxTokens: number };
  /** Tokens that their exit rule ended, and tokens that ran into the limit. */
  readonly exits: { readonly converged: number; readonly capped: number };
}

export interface CompletionSettings {
  readonly limits: Limits;
  /** Awaited between tokens, and while other requests compute. */
  readonly breathe: () => Promise<void>;
  /** Ends the completion at the next token, without a report. */
  readonly signal: AbortSignal;
}

/**
 * Runs a completion. Everything that can be wrong with the request is thrown by the first `next`, before any work.
 * @throws {ApiError | FathomError}
 */
export async function* complete(
  model: Model,
  request: CompletionRequest,
  settings: CompletionSettings,
): AsyncGenerator<CompletionPiece, void, undefined> {
  const granted = grant(request, model.card, settings.limits);
  const prompt = encodePrompt(model, request.prompt);
  const maxTokens = tokensGranted(model, request, prompt.length, settings.limits);
  const tokens: GeneratedToken[] = [];
  let started = request.prompt.kind !== "chat";
  const pieces = answer(sharedModel(model, { yieldToHost: settings.breathe }), {
    prompt,
    maxTokens,
    iterations: granted.iterations,
    exit: granted.exit,
    cache: model.card.cacheStrategy,
    sampling: request.sampling,
    stop: request.stop,
    breathe: settings.breathe,
  });
  for await (const piece of pieces) {
    if (settings.signal.aborted) return;
    tokens.push(piece.token);
    const text = started ? piece.text : piece.text.trimStart();
    started ||= text !== "";
    const report = piece.finish && summarise(piece.finish, tokens, prompt.length, { ...granted, maxTokens });
    yield { text, report };
  }
}

function encodePrompt(model: Model, prompt: Prompt): readonly number[] {
  const param = prompt.kind === "chat" ? "messages" : "prompt";
  const tokens =
    prompt.kind === "chat"
      ? model.text.encodeChat(prompt.messages)
      : prompt.kind === "text"
        ? model.text.encode(prompt.text)
        : prompt.tokens;
  if (tokens.length === 0) throw new FathomError("empty_prompt", "The prompt is empty; give some text.", param);
  const outside = tokens.find((token) => token >= model.config.vocabSize);
  if (outside !== undefined)
    throw new FathomError("token_out_of_range", `Token ${outside} is outside the vocabulary of ${model.config.vocabSize}.`, param);
  const { contextLength } = model.config;
  if (tokens.length > contextLength)
    throw new FathomError(
      "context_overflow",
      `The prompt has ${tokens.length} tokens, more than the model's context of ${contextLength}; shorten it.`,
      param,
    );
  return tokens;
}

/** What was asked for, or else the card's number as far as the context goes; the deployment's ceiling over both. */
function tokensGranted({ card, config }: Model, { maxTokens }: CompletionRequest, promptTokens: number, limits: Limits): number {
  const room = config.contextLength - promptTokens + 1;
  return Math.min(maxTokens ?? Math.min(card.maxCompletionTokens, room), limits.maxCompletionTokens);
}

function summarise(
  finish: FinishReason,
  tokens: readonly GeneratedToken[],
  promptTokens: number,
  granted: CompletionReport["granted"],
): CompletionReport {
  const converged = tokens.filter((t) => t.exited).length;
  return {
    finish,
    promptTokens,
    completionTokens: tokens.length,
    iterations: countIterations(tokens),
    granted,
    exits: { converged, capped: tokens.length - converged },
  };
}

/**
 * One completion: a checked request and a model -> pieces of text and, at the end, what they cost. Knows nothing of
 * HTTP or of wire shapes, so that routes and RPC share it.
 */
import { costOf } from "../engine/budget/report.ts";
import { answer, answers, countIterations, type AnswerPiece, type ChoicePiece } from "../engine/decode/answer.ts";
import { FathomError } from "../engine/errors.ts";
import type { Model } from "../engine/port/model.ts";
import { admit, type Admitted } from "./admit.ts";
import type { CompletionPiece, CompletionReport, CompletionRequest, CompletionSettings } from "./completion.ts";
import { Tally } from "./tally.ts";

/**
 * Runs a completion. Everything that can be wrong with the request is thrown by the first `next`, before any work.
 * @throws {ApiError | FathomError}
 */
export async function* complete(
  model: Model,
  request: CompletionRequest,
  settings: CompletionSettings,
): AsyncGenerator<CompletionPiece, void, undefined> {
  const { choices } = request;
  const admitted = await admit(model, request, settings).finally(settings.entry?.judged);
  const { hold, controller } = admitted;
  const tally = new Tally(choices);
  const started = new Set(request.prompt.kind === "chat" ? [] : Array.from({ length: choices }, (_, choice) => choice));
  let isWhole = false;
  try {
    for await (const piece of piecesOf(model, request, settings, admitted, tally)) {
      if (settings.signal.aborted) return;
      const { choice, finish } = piece;
      tally.add(piece);
      // a stop string leaves the next token's call planned and never made
      if (finish === "stop" && piece.token?.finish === undefined) controller.cancel();
      const text = started.has(choice) ? piece.text : piece.text.trimStart();
      if (text !== "") started.add(choice);
      isWhole = finish !== undefined && tally.left === 0;
      yield { choice, text, finish, report: isWhole ? report(tally, admitted) : undefined };
    }
  } finally {
    controller.abandon();
    hold.release(isWhole);
  }
}

function piecesOf(
  model: Model,
  { choices, sampling, stop }: CompletionRequest,
  { breathe }: CompletionSettings,
  { prompt, grant, controller, scheduler, lane, hold }: Admitted,
  tally: Tally,
): AsyncGenerator<ChoicePiece, void, undefined> {
  const options = {
    prompt,
    maxTokens: grant.tokens,
    iterations: grant.iterations,
    exit: grant.exit,
    cache: model.card.cacheStrategy,
    sampling,
    stop,
    // whose time is short leaves it to the calls to let the host in, which brings others' reading
    breathe: () => (grant.latencyMs < Infinity && scheduler.isUrgent ? Promise.resolve() : breathe()),
    endBy: (error: unknown) => {
      // a token that was dropped before its turn ends an answer that has begun
      const isLate = error instanceof FathomError && error.code === "budget_exhausted" && grant.onExhausted !== "error";
      if (!isLate || tally.tokens.length === 0) return undefined;
      controller.expire();
      return "length" as const;
    },
  };
  const served = { ...model, backend: lane };
  const sharesPrompt = hold.found !== undefined || hold.keepIterations !== undefined;
  if (choices === 1 && !sharesPrompt) return alone(answer(served, { ...options, policy: controller }));
  return answers(served, { ...options, count: choices, prefix: hold, policyOf: (choice) => controller.choice(choice, choices) });
}

async function* alone(pieces: AsyncIterable<AnswerPiece>): AsyncGenerator<ChoicePiece, void, undefined> {
  for await (const piece of pieces) yield { choice: 0, ...piece };
}

function report({ finish, tokens, longest }: Tally, { prompt, hold, grant, controller, timer, sharedBudget }: Admitted): CompletionReport {
  // the first tokens of several completions come of one call, which the first of them has
  const made = tokens.filter(({ rows }) => rows > 0);
  const spending = controller.report(finish, made.length, longest);
  return {
    finish,
    promptTokens: prompt.length,
    cachedTokens: hold.found?.length ?? 0,
    completionTokens: tokens.length,
    iterations: countIterations(made),
    grant,
    spending,
    cost: costOf(spending, timer, grant, sharedBudget.calibration),
  };
}

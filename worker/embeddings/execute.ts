/**
 * Vectors of one request: a request without a wire and a model -> vectors and what they cost. Knows nothing of HTTP.
 */
import { checkDimensions, embed, prepareEmbeddings, type PreparedEmbeddings } from "../../engine/decide/embed.ts";
import { FathomError } from "../../engine/errors.ts";
import type { Model } from "../../engine/port/model.ts";
import type { CompletionSettings } from "../completion.ts";
import { runPlanned } from "../planned-work.ts";
import type { EmbeddingsReport, WireEmbeddings } from "./request.ts";

/**
 * Everything that can be wrong with the request is thrown before any work.
 * @throws {ApiError | FathomError} and the signal's reason, between batches
 */
export async function runEmbeddings(model: Model, request: WireEmbeddings, settings: CompletionSettings): Promise<EmbeddingsReport> {
  const { dimensions, format, inputs, isSingle } = request;
  const { signal } = settings;
  const { prepared, done, report } = await runPlanned(model, request, settings, {
    lengths: inputs.map((input, i) => ({
      param: isSingle ? "input" : `input[${i}]`,
      characters: typeof input === "string" ? input.length : 0,
    })),
    prepare: () => prepare(model, request),
    run: (texts, { policy, backend }) => embed(texts, { policy, backend, dimensions, signal }),
  });
  const iterations = { total: prepared.batches.length, mean: 1, max: 1, saved: 0 };
  return { ...report, vectors: done, format, promptTokens: prepared.inputTokens, cachedTokens: 0, iterations };
}

/** A single input has no place in a list. */
function prepare(model: Model, { inputs, isSingle, dimensions }: WireEmbeddings): PreparedEmbeddings {
  try {
    const prepared = prepareEmbeddings(model, inputs);
    checkDimensions(prepared.head, dimensions);
    return prepared;
  } catch (error) {
    if (!(error instanceof FathomError) || !isSingle || error.param !== "input[0]") throw error;
    throw new FathomError(error.code, error.message.replaceAll("input[0]", "input"), "input", { cause: error });
  }
}

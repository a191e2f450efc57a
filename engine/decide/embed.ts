/**
 * Texts as vectors: the state behind a text, alone, after one iteration, through the model's head, at length 1. Preparing
 * checks all that can be wrong and says what it will cost. Not here: the wire, what may be spent (engine/budget).
 */
import { fixedDecisionPolicy, type DecisionPolicy, type DecisionShape } from "../decision-policy.ts";
import { FathomError } from "../errors.ts";
import { NEVER_EXIT } from "../exit-rule.ts";
import type { EmbeddingHead } from "../model/embeddings.ts";
import type { Backend } from "../port/backend.ts";
import type { Model } from "../port/model.ts";
import { batchLone, loneShape, runLone, type LoneText } from "./lone-states.ts";
import { mapped } from "./match.ts";
import { requireFinite } from "../finite.ts";
import { naming } from "./prompt.ts";

/** Most memory of texts that are read together, in bytes. */
const BATCH_BYTES = 16 * 1048576;

interface IndexedText extends LoneText {
  readonly index: number;
}

/** Texts in tokens, cut into batches; nothing has been computed. */
export interface PreparedEmbeddings {
  readonly model: Model;
  readonly head: EmbeddingHead;
  readonly count: number;
  readonly batches: readonly (readonly IndexedText[])[];
  readonly shape: DecisionShape;
  readonly inputTokens: number;
}

/**
 * Puts texts, or lists of token ids, into batches.
 * @throws {FathomError} invalid_request where the model has no head, empty_prompt, token_out_of_range, context_overflow:
 *   nothing is ever cut
 */
export function prepareEmbeddings(model: Model, inputs: readonly (string | readonly number[])[]): PreparedEmbeddings {
  const { embeddings: head, backend, card } = model;
  if (head === undefined)
    throw new FathomError(
      "invalid_request",
      `The model ${card.id} has no head for embeddings; use one whose card has \`embeddings\`.`,
      "model",
    );
  if (inputs.length === 0) throw new FathomError("invalid_request", "There is no input; give at least one text.", "input");
  const texts = inputs.map((input, index): IndexedText => ({ index, tokens: tokensOf(input, index, model, head) }));
  const batches = batchLone(texts, backend, BATCH_BYTES);
  return {
    model,
    head,
    count: inputs.length,
    batches,
    shape: { passes: batches.map((batch) => loneShape(batch)) },
    inputTokens: texts.reduce((sum, { tokens }) => sum + tokens.length, 0),
  };
}

function tokensOf(input: string | readonly number[], index: number, { config, text }: Model, { begin, end }: EmbeddingHead): number[] {
  const param = `input[${index}]`;
  const own = typeof input === "string" ? naming(param, () => text.encodePart(input)) : input;
  if (own.length === 0) throw new FathomError("empty_prompt", `${param} is empty; give some text.`, param);
  const outside = typeof input === "string" ? undefined : own.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocabSize));
  if (outside !== undefined)
    throw new FathomError("token_out_of_range", `${param} has the token ${outside}; ids go from 0 to ${config.vocabSize - 1}.`, param);
  const tokens = [...(begin === undefined ? [] : [begin]), ...own, end];
  if (tokens.length > config.contextLength)
    throw new FathomError(
      "context_overflow",
      `${param} takes ${tokens.length} tokens, more than the model's context of ${config.contextLength}; shorten it.`,
      param,
    );
  return tokens;
}

/** @throws {FathomError} invalid_request for `dimensions` that a head does not have */
export function checkDimensions({ size }: EmbeddingHead, dimensions: number | undefined): void {
  if (dimensions === undefined || (Number.isInteger(dimensions) && dimensions >= 1 && dimensions <= size)) return;
  throw new FathomError("invalid_request", `dimensions must be a whole number from 1 to ${size}, not ${dimensions}.`, "dimensions");
}

/** How `embed` computes, and what it may spend. */
export interface EmbedOptions {
  /** What may be spent. [default whatever it takes] */
  readonly policy?: DecisionPolicy;
  /** The backend to compute on, such as a lane of a scheduler. [default the model's own] */
  readonly backend?: Backend;
  /** Elements to keep of each vector, which is scaled to length 1 again. [default all] */
  readonly dimensions?: number | undefined;
  /** Ends the work before the next batch, which then throws the signal's reason. */
  readonly signal?: Pick<AbortSignal, "throwIfAborted">;
}

/**
 * Makes the vectors of prepared texts, in the order given. A text's vector is the same bits alone and in company.
 * @throws {FathomError} invalid_request for `dimensions` that the head does not have; out_of_memory, not_finite
 * @example
 * const [vector] = await embed(prepareEmbeddings(model, ["I lost my card."]));
 * vector.length; // 384
 */
export async function embed(prepared: PreparedEmbeddings, options: EmbedOptions = {}): Promise<Float32Array[]> {
  const { model, head, batches, count } = prepared;
  const { policy = fixedDecisionPolicy(1, NEVER_EXIT), backend = model.backend, dimensions = head.size, signal } = options;
  checkDimensions(head, dimensions);
  const rows = head.matrix.subarray(0, dimensions * model.config.width);
  const vectors: Float32Array[] = Array.from({ length: count });
  for (const [i, batch] of batches.entries()) {
    signal?.throwIfAborted();
    await runLone(batch, i, backend, policy, ({ index }, state) => {
      requireFinite(state as Float32Array);
      vectors[index] = mapped(rows, state);
    });
  }
  return vectors;
}

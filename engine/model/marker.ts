/**
 * A control token that a card names: by its text in the tokenizer, or by its id.
 */
import * as v from "valibot";
import { FathomError } from "../errors.ts";
import { whole } from "./card-values.ts";
import type { ModelConfig } from "./config.ts";
import type { TextCodec } from "./tokenizer.ts";

export const marker = v.union([v.string(), whole(0)], "must be a token's text or id");

/** @param field of the card, for messages @throws {FathomError} invalid_card where tokenizer or vocabulary do not have it */
export function markerToken(
  named: v.InferOutput<typeof marker>,
  field: string,
  { vocabSize }: Pick<ModelConfig, "vocabSize">,
  text: TextCodec,
): number {
  const bad = (what: string): FathomError => new FathomError("invalid_card", `card.json: ${field}: ${what}.`, field);
  const id = typeof named === "number" ? named : text.tokenId(named);
  if (id === undefined) throw bad(`${JSON.stringify(named)} is not a token of tokenizer.json`);
  if (id >= vocabSize) throw bad(`token ${id} is outside the model's vocabulary of ${vocabSize}`);
  return id;
}

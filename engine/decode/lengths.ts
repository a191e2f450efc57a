/**
 * Whether a prompt and its completion fit the model's context, before anything is allocated.
 */
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";

/** @throws {FathomError} empty_prompt, invalid_request, context_overflow */
export function checkLengths(config: ModelConfig, promptTokens: number, maxTokens: number): void {
  const { contextLength } = config;
  if (promptTokens === 0) throw new FathomError("empty_prompt", "The prompt is empty; give at least one token.", "prompt");
  if (!Number.isInteger(maxTokens) || maxTokens < 1)
    throw new FathomError(
      "invalid_request",
      `The number of tokens to generate must be a whole number of at least 1, not ${maxTokens}.`,
      "max_completion_tokens",
    );
  if (promptTokens + maxTokens - 1 > contextLength)
    throw new FathomError(
      "context_overflow",
      `${promptTokens} prompt tokens and up to ${maxTokens} new ones do not fit the model's context of ${contextLength} tokens; ` +
        (promptTokens > contextLength
          ? "shorten the prompt."
          : `shorten the prompt or ask for at most ${contextLength - promptTokens + 1} tokens.`),
      promptTokens > contextLength ? "prompt" : "max_completion_tokens",
    );
}

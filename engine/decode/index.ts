/**
 * Ways to decode: the token loop and what it yields, text pieces, self-speculation, the exact wavefront, tracing.
 */
export {
  answer,
  answers,
  countIterations,
  type AnswerOptions,
  type AnswerPiece,
  type AnswersOptions,
  type ChoicePiece,
  type FinishReason,
  type IterationCount,
} from "./answer.ts";
export type { ChunkOptions, GeneratedToken, GenerateOptions, WarmStart } from "./completion.ts";
export { generate } from "./generate.ts";
export { generateSeveral, type ChoiceToken, type SeveralOptions } from "./several.ts";
export { seededState, zeroState, type InitialState } from "./initial-state.ts";
export { tokenLogprobs, type TokenLogprobs } from "./logprobs.ts";
export { sample, type Sampling } from "./sample.ts";
export { speculate, type SpeculateOptions, type VerifiedTokens } from "./speculate.ts";
export { trace, type Trace } from "./trace.ts";
export { generateWavefront, type WavefrontOptions, type WavefrontToken } from "./wavefront.ts";

/**
 * Decisions: typed questions about an input, answered as probabilities. Wire forms are made of these types.
 */
export { choiceConfidence, scoreConfidence } from "./confidence.ts";
export {
  decide,
  decisionDefaults,
  prepareDecision,
  withPrefixes,
  type DecideOptions,
  type PreparedDecision,
  type PrepareOptions,
} from "./decide.ts";
export type { Decision, DecisionFormName, DecisionIterations, DecisionUsage } from "./decision.ts";
export { embed, prepareEmbeddings, type EmbedOptions, type PreparedEmbeddings } from "./embed.ts";
export type { Answer, AnswerPoint, DecisionRequest, Option, Question, QuestionKind } from "./question.ts";

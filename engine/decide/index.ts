/**
 * Decisions: typed questions about an input, answered as probabilities. Types here, shared by every wire form.
 */
export { choiceConfidence, scoreConfidence } from "./confidence.ts";
export type { Decision, DecisionFormName, DecisionIterations, DecisionUsage } from "./decision.ts";
export type { Answer, DecisionRequest, Option, Question, QuestionKind } from "./question.ts";

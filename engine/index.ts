/**
 * The engine's public surface: what an embedder needs to load a model and to answer with it on any backend.
 */
export type { ChainOptions, MadeToken, TokenChain, TokenMaker } from "./port/chain.ts";
export type { Backend, LatentState, MemoryLedger, Row, RowInput, Sequence, SequenceOptions } from "./port/backend.ts";
export { parseCacheStrategy, type CacheStrategy } from "./cache-strategy.ts";
export { FathomError, type FathomErrorCode } from "./errors.ts";
export { DEFAULT_THRESHOLDS, EXIT_CRITERIA, NEVER_EXIT, parseExitRule, type ExitCriterion, type ExitRule } from "./exit-rule.ts";
export type { Answer, DecisionRequest, Option, Question, QuestionKind } from "./decide/question.ts";
export type { Decision, DecisionFormName, DecisionIterations, DecisionUsage } from "./decide/decision.ts";
export { choiceConfidence, scoreConfidence } from "./decide/confidence.ts";
export { answer, countIterations, type AnswerOptions, type AnswerPiece } from "./decode/answer.ts";
export { generate, type GeneratedToken, type GenerateOptions } from "./decode/generate.ts";
export { seededState, zeroState, type InitialState } from "./decode/initial-state.ts";
export { fixedPolicy, type DepthPolicy } from "./depth-policy.ts";
export type { Sampling } from "./decode/sample.ts";
export { speculate, type SpeculateOptions } from "./decode/speculate.ts";
export { trace, type Trace } from "./decode/trace.ts";
export { generateWavefront, type WavefrontOptions } from "./decode/wavefront.ts";
export type { ModelCard } from "./model/card.ts";
export type { ModelConfig } from "./model/config.ts";
export type { ModelFolder } from "./model/folder.ts";
export { loadModel, type BackendFactory, type Model } from "./port/model.ts";
export type { ByteSource } from "./model/safetensors.ts";
export type { ChatMessage, TextCodec } from "./model/tokenizer.ts";
export { createReferenceBackend } from "./reference/backend.ts";
export { Scheduler, type LaneOptions, type SchedulerOptions } from "./schedule/scheduler.ts";

/**
 * The engine's public surface: what an embedder needs to load a model and to answer with it on any backend. Each room
 * has a fuller surface of its own: fathom-edge/model, /port, /decode, /decide, /schedule, /failover, /budget.
 */
export { parseCacheStrategy, type CacheStrategy } from "./cache-strategy.ts";
export { fixedPolicy, type DepthPolicy } from "./depth-policy.ts";
export { FathomError, type FathomErrorCode } from "./errors.ts";
export { DEFAULT_THRESHOLDS, EXIT_CRITERIA, NEVER_EXIT, parseExitRule, type ExitCriterion, type ExitRule } from "./exit-rule.ts";
export * from "./decide/index.ts";
export * from "./decode/index.ts";
export type { ByteSource, ChatMessage, ModelCard, ModelConfig, ModelFolder, TextCodec } from "./model/index.ts";
export {
  loadModel,
  type Backend,
  type BackendFactory,
  type LatentState,
  type MemoryLedger,
  type Model,
  type Row,
  type RowInput,
  type Sequence,
  type SequenceOptions,
} from "./port/index.ts";
export { createReferenceBackend } from "./reference/index.ts";
export { Scheduler, type LaneOptions, type SchedulerOptions } from "./schedule/index.ts";

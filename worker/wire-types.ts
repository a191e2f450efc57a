/**
 * What goes over the wire, as types for whoever calls: bodies of requests and responses. Decisions and vectors are in
 * wire-decisions.ts, the routes in wire-routes.ts. Types alone; what is checked of a body is said by the schemas of openai.ts, wire-budget.ts and decisions/.
 */
import type { OnExhausted } from "../engine/budget/budget.ts";
import type { LimitedBy } from "../engine/budget/grant.ts";
import type { ExitCriterion } from "../engine/exit-rule.ts";
import type { Effort } from "../engine/model/card.ts";

/** What a request may spend: the object `budget` of a body. `null` says nothing. */
export interface BudgetBody {
  /** Milliseconds for the whole response, from arrival. */
  latency_ms?: number | null;
  /** Dollars, by the deployment's price card. */
  cost_usd?: number | null;
  /** Most iterations a token. */
  iterations?: number | null;
  /** Most iterations of the whole request. */
  total_iterations?: number | null;
  /** Least accuracy, 0 to 1, by the model card's table: a depth below which no token is cut, or 422. */
  min_quality?: number | null;
  /** When a token has thought enough; threshold 0: never before the cap. */
  exit?: { criterion?: ExitCriterion | null; threshold?: number | null; wake?: number | null; min_iterations?: number | null } | null;
  /** What gives way where not everything can be had. [default degrade] */
  on_exhausted?: OnExhausted | null;
}

/** What was spent, beside OpenAI's own fields. */
export interface UsageObject {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  completion_tokens_details: { reasoning_tokens: number };
  /** Core iterations of all tokens, a token's mean and most, and those that early exits saved. */
  iterations: { total: number; mean: number; max: number; saved: number };
  /** 1e9 multiply-adds each. */
  work_units: number;
  cost_usd: number;
}

/** What was granted, and what limited it. */
export interface BudgetObject {
  granted: {
    latency_ms?: number;
    cost_usd?: number;
    iterations: number;
    total_iterations?: number;
    min_quality?: number;
    max_completion_tokens: number;
    exit: { criterion: ExitCriterion; threshold: number; wake?: number; min_iterations: number };
    on_exhausted: OnExhausted;
    work_units?: number;
  };
  limited_by: LimitedBy | null;
  exits: { converged: number; capped: number };
  latency_ms: number;
  latency_source: "clock" | "estimated";
}

export interface MessageBody {
  role: "system" | "developer" | "user" | "assistant" | (string & {});
  content: string | readonly { type: "text"; text: string }[];
}

interface CompletionBody {
  model: string;
  max_completion_tokens?: number | null;
  max_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | null;
  stop?: string | readonly string[] | null;
  /** Completions of the prompt. [default 1] */
  n?: number | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean | null } | null;
  reasoning_effort?: Effort | null;
  budget?: BudgetBody | null;
}

/** The body of POST /v1/chat/completions. */
export interface ChatBody extends CompletionBody {
  messages: readonly MessageBody[];
}

/** The body of POST /v1/completions. */
export interface TextBody extends CompletionBody {
  /** A text, token ids, or a list of exactly one of these. */
  prompt: string | readonly [string] | readonly number[] | readonly [readonly number[]];
}

export type FinishReason = "stop" | "length";

export interface ChatObject {
  id: string;
  object: "chat.completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    message: { role: "assistant"; content: string; refusal: null };
    logprobs: null;
    finish_reason: FinishReason;
  }[];
  usage: UsageObject;
  budget: BudgetObject;
}

/** An event of a stream of POST /v1/chat/completions. */
export interface ChunkObject {
  id: string;
  object: "chat.completion.chunk";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: {
    index: number;
    delta: { role?: "assistant"; content?: string; refusal?: null };
    logprobs: null;
    finish_reason: FinishReason | null;
  }[];
  /** Set on the last event, where `stream_options.include_usage` asks for it. */
  usage?: UsageObject | null;
  budget?: BudgetObject;
}

/** An event of a stream of POST /v1/completions. */
export interface TextChunkObject extends Omit<ChunkObject, "object" | "choices"> {
  object: "text_completion";
  choices: { index: number; text: string; logprobs: null; finish_reason: FinishReason | null }[];
}

export interface TextObject {
  id: string;
  object: "text_completion";
  /** Unix seconds. */
  created: number;
  model: string;
  choices: { index: number; text: string; logprobs: null; finish_reason: FinishReason }[];
  usage: UsageObject;
  budget: BudgetObject;
}

export interface ModelObject {
  id: string;
  object: "model";
  /** Unix seconds. */
  created: number;
  owned_by: string;
}

export interface ModelListObject {
  object: "list";
  data: ModelObject[];
  models: { name: string; description: string; release_date: string }[];
}

/** A model's card: what is needed to choose a budget knowingly. */
export interface ModelCardObject extends ModelObject {
  description: string;
  license?: string;
  /** Forms of prompts that the model was trained on, where it knows nothing else. */
  forms?: { name: string; begins: string[]; ends: string[]; example: string }[];
  context_length: number;
  vocabulary_size: number;
  backend: string;
  max_completion_tokens: { default: number; max: number };
  iterations: { default: number; max: number; mean_recurrence: number };
  effort: Record<Effort, number>;
  exit: BudgetObject["granted"]["exit"];
  cache: string;
  /** Labels that the model was trained on, where it was. */
  decisions: { form: string; labels?: { type: string; instructions: string; labels: string[] }[] };
  /** Where the model makes vectors of texts. */
  embeddings?: { dimensions: number };
  /** What turns work units into time and money here. */
  cost: {
    ms_per_unit: { p50: number; p95: number };
    overhead_ms: number;
    price: { name: string; usd_per_request: number; usd_per_ms: number };
  };
  quality: { task: string; level: number; n: number; accuracy: Record<string, number> }[];
}

/** A refusal, or a failure, in OpenAI's shape. */
export interface ErrorObject {
  error: {
    message: string;
    type: string;
    /** The field at fault, e.g. `budget.iterations`. */
    param: string | null;
    code: string;
    /** The least budget that would do, where that was the failure. */
    minimum?: { latency_ms?: number; cost_usd?: number; total_iterations?: number; work_units?: number };
  };
}

export interface HealthObject {
  status: string;
  models: {
    id: string | null;
    status: string;
    backend?: string;
    memory?: { used_bytes: number; peak_bytes: number; limit_bytes: number | null };
    /** Loads that failed, one after the other, and when the next is due. */
    failures?: number;
    retry_after_s?: number;
  }[];
  /** How often which of the deployment's own functions failed. */
  callback_failures?: Record<string, number>;
}

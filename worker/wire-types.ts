/**
 * What goes over the wire, as types for whoever calls: bodies of requests and responses, and the app's schema for Hono's
 * client. Types alone; what is checked of a body is said by the schemas of openai.ts, wire-budget.ts and decisions/.
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

type Part = { type: "input_text"; text: string } | { type: "input_json"; data: object };

/** A question of POST /v1/decisions. */
export type QuestionBody = { name?: string | null; instructions: string | readonly Part[] } & (
  | { type: "predicate" }
  | { type: "choice"; choices: readonly { value: string | boolean; description?: string | null }[] }
  | { type: "score"; levels: readonly { label: string; description?: string | null }[] }
);

/** The body of POST /v1/decisions. */
export interface DecisionsBody {
  model: string;
  input: string | readonly object[];
  questions: readonly QuestionBody[];
  budget?: BudgetBody | null;
  /** Answers whose best option fits less are refused, or, with refuse false, only marked. */
  abstain?: { fit: number; refuse?: boolean | null } | null;
}

/** What is said of every answer beside the API's own fields. */
export interface AnswerNotes {
  x_iterations: number;
  x_settled_at: number;
  x_agreement: number;
  /** How well the best option fits at all, from 0 to 1. */
  x_fit: number;
  x_label_mass?: number;
  x_abstained: boolean;
}

/** An answer of POST /v1/decisions. */
export type AnswerObject = { name: string | null } & AnswerNotes &
  (
    | { type: "predicate"; probability: number }
    | { type: "choice"; choice: string | boolean; probabilities: { value: string | boolean; probability: number }[]; confidence: number }
    | { type: "score"; score: number; probabilities: { value: number; label: string; probability: number }[]; confidence: number }
    | { type: "refusal" }
  );

export interface DecisionsObject {
  model: string;
  answers: AnswerObject[];
  usage: {
    input_tokens: number;
    input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
    output_tokens: number;
    output_tokens_details: { reasoning_tokens: number };
    total_tokens: number;
  };
  x_budget: DecisionBudgetObject;
  x_form: string;
}

/** What a decision was granted and cost. */
export interface DecisionBudgetObject extends Omit<BudgetObject, "granted"> {
  granted: Omit<BudgetObject["granted"], "max_completion_tokens">;
  iterations: UsageObject["iterations"];
  work_units: number;
  cost_usd: number;
}

/** An entry of POST /v1/systemone: text, or what is written as JSON. */
type Entry = string | object;

/** A question of POST /v1/systemone. */
export type NamedQuestionBody =
  | { type: "noul"; instructions?: Entry | null; criteria?: { true?: Entry | null; false?: Entry | null } | null }
  | { type: "choice"; instructions?: Entry | null; criteria: Record<string, Entry | null> }
  | { type: "score"; instructions?: Entry | null; criteria: (Entry | null)[] };

/** The body of POST /v1/systemone. */
export interface SystemOneBody {
  model: string;
  state: Entry;
  questions: Record<string, NamedQuestionBody>;
  budget?: BudgetBody | null;
  abstain?: { fit: number; refuse?: boolean | null } | null;
}

/** An answer of POST /v1/systemone. */
export type NamedAnswerObject = AnswerNotes &
  (
    | { type: "noul"; noul: number }
    | { type: "choice"; choice: string; probabilities: Record<string, number>; confidence: number }
    | { type: "score"; score: number; legend: Record<string, unknown>; probabilities: Record<string, number>; confidence: number }
  );

export interface SystemOneObject {
  model: string;
  answers: Record<string, NamedAnswerObject>;
  usage: { input_tokens: number; output_tokens: number };
  x_budget: DecisionBudgetObject;
  x_form: string;
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
  context_length: number;
  vocabulary_size: number;
  backend: string;
  max_completion_tokens: { default: number; max: number };
  iterations: { default: number; max: number; mean_recurrence: number };
  effort: Record<Effort, number>;
  exit: BudgetObject["granted"]["exit"];
  cache: string;
  decisions: { form: string };
  cost: { ms_per_unit: number; overhead_ms: number; price: { name: string; usd_per_request: number; usd_per_ms: number } };
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
  }[];
}

type Endpoint<Input, Output> =
  | { input: Input; output: Output; outputFormat: "json"; status: 200 }
  | { input: Input; output: ErrorObject; outputFormat: "json"; status: 400 | 401 | 403 | 404 | 413 | 415 | 422 | 429 | 500 | 503 };

/**
 * The routes of `createApp`, for Hono's client: `hc<AppType>(url)` where `AppType` is the type of an app that has mounted
 * them, or of `createApp(...)` itself. Streams are read from the response's body.
 */
export type FathomSchema = {
  "/v1/chat/completions": { $post: Endpoint<{ json: ChatBody }, ChatObject> };
  "/v1/completions": { $post: Endpoint<{ json: TextBody }, TextObject> };
  "/v1/decisions": { $post: Endpoint<{ json: DecisionsBody }, DecisionsObject> };
  "/v1/systemone": { $post: Endpoint<{ json: SystemOneBody }, SystemOneObject> };
  "/v1/models": { $get: Endpoint<{}, ModelListObject> };
  "/v1/models/:id": { $get: Endpoint<{ param: { id: string } }, ModelCardObject> };
  "/health": { $get: { input: {}; output: HealthObject; outputFormat: "json"; status: 200 } };
  "/ready": { $get: { input: {}; output: HealthObject; outputFormat: "json"; status: 200 | 503 } };
};

/**
 * What goes over the wire where no text is made, as types for whoever calls: decisions in both shapes, and vectors. Types
 * alone, as in wire-types.ts.
 */
import type { BudgetBody, BudgetObject, UsageObject } from "./wire-types.ts";

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

/** What was granted where no text is made. */
export interface TextlessBudgetObject extends Omit<BudgetObject, "granted"> {
  granted: Omit<BudgetObject["granted"], "max_completion_tokens">;
}

/** What a decision was granted and cost. */
export interface DecisionBudgetObject extends TextlessBudgetObject {
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

/** The body of POST /v1/embeddings. */
export interface EmbeddingsBody {
  model: string;
  /** A text, token ids, or a list of either. */
  input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  /** Elements of a vector. [default the model's] */
  dimensions?: number | null;
  /** base64: the bytes of little-endian f32. [default float] */
  encoding_format?: "float" | "base64" | null;
  budget?: BudgetBody | null;
}

export interface EmbeddingsObject {
  object: "list";
  data: { object: "embedding"; index: number; embedding: number[] | string }[];
  model: string;
  usage: Omit<UsageObject, "completion_tokens" | "completion_tokens_details">;
  budget: TextlessBudgetObject;
}

/**
 * Fathom's fields for the types of the package openai: `budget` in requests and answers, iterations and costs in usage.
 * One import makes them known: `import "fathom-edge/openai"`. Types alone; nothing runs.
 */
import type { BudgetBody, BudgetObject, UsageObject } from "./wire-types.ts";

export type { ChatCompletion, ChatCompletionChunk } from "openai/resources/chat/completions/completions";
export type { Completion, CompletionUsage } from "openai/resources/completions";
export type { BudgetBody, BudgetObject, UsageObject } from "./wire-types.ts";

declare module "openai/resources/chat/completions/completions" {
  interface ChatCompletionCreateParamsBase {
    budget?: BudgetBody | null;
  }
  interface ChatCompletion {
    budget?: BudgetObject;
  }
  interface ChatCompletionChunk {
    budget?: BudgetObject;
  }
}

declare module "openai/resources/completions" {
  interface CompletionCreateParamsBase {
    budget?: BudgetBody | null;
  }
  interface Completion {
    budget?: BudgetObject;
  }
  interface CompletionUsage extends Partial<Pick<UsageObject, "iterations" | "work_units" | "cost_usd">> {}
}

/**
 * What a completion is asked with and what comes of it, whatever the route. Not here: wire shapes (openai.ts).
 */
import type { Clock } from "../engine/budget/clock.ts";
import type { Spending } from "../engine/budget/controller.ts";
import type { Grant } from "../engine/budget/grant.ts";
import type { PriceCard } from "../engine/budget/price.ts";
import type { CostReport } from "../engine/budget/report.ts";
import type { FinishReason, IterationCount } from "../engine/decode/answer.ts";
import type { Sampling } from "../engine/decode/sample.ts";
import type { BudgetRequest, CallerBudgets, DeploymentLimits } from "./budget.ts";
import type { Entry } from "./door.ts";
import type { PrefixCacheSettings } from "./prefix-settings.ts";
import type { Prompt } from "./prompt-tokens.ts";

export interface CompletionRequest extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
  readonly prompt: Prompt;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  /** Completions of the prompt. */
  readonly choices: number;
  readonly stream: boolean;
  /** Prompts of other keys share nothing with this one. */
  readonly cacheKey: string | undefined;
  /** A stream ends with the usage. */
  readonly includeUsage: boolean;
}

export interface CompletionPiece {
  /** Index of the completion that it belongs to. */
  readonly choice: number;
  /** Text of a chat answer starts with its first visible character. May be empty. */
  readonly text: string;
  /** Why this completion ended; set on its last piece alone. */
  readonly finish: FinishReason | undefined;
  /** What the request was and spent; set on the last piece of all alone. */
  readonly report: CompletionReport | undefined;
}

export interface CompletionReport {
  /** How the completion ended; "length", if one of several was cut. */
  readonly finish: FinishReason;
  readonly promptTokens: number;
  /** Tokens of the prompt that were taken over from earlier ones, and cost nothing. */
  readonly cachedTokens: number;
  /** Tokens of all completions together. The stop token counts, as it was thought about, too. */
  readonly completionTokens: number;
  readonly iterations: IterationCount;
  readonly grant: Grant;
  readonly spending: Spending;
  readonly cost: CostReport;
}

export interface CompletionSettings {
  readonly limits: DeploymentLimits;
  readonly price: PriceCard;
  readonly clock: Clock;
  /** The request at the door. [default it comes now, and nobody waits for it to be judged] */
  readonly entry?: Entry;
  /** Whose request it is, for fair shares. [default a caller of its own] */
  readonly caller?: string | undefined;
  /** What later prompts may take over of earlier ones. [default nothing] */
  readonly prefixCache?: PrefixCacheSettings;
  /** The bearer key, where prompts of different ones are to share nothing. */
  readonly key?: string | undefined;
  /** What key and headers say. [default nothing] */
  readonly callerBudgets?: CallerBudgets;
  /** Awaited between tokens, and while other requests compute. */
  readonly breathe: () => Promise<void>;
  /** Ends the completion at the next token, without a report. */
  readonly signal: AbortSignal;
}

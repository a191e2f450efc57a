/**
 * How a deployment serves completions, whichever way they come: ceilings, prices, clock, and who is told of them.
 */
import type { Context } from "hono";
import type { Budget } from "../engine/budget/budget.ts";
import type { Clock } from "../engine/budget/clock.ts";
import { WORKERS, type PriceCard } from "../engine/budget/price.ts";
import { DEFAULT_LIMITS, latencyMsOf, type BudgetRequest, type BudgetsBeside, type Limits } from "./budget.ts";
import type { CompletionPiece, CompletionReport } from "./complete.ts";
import { explainWith, logFault, type Explain, type Fault } from "./faults.ts";
import { breathe, hostClock } from "./host.ts";

/** A completion that has ended, for logs and metrics. */
export interface CompletionEvent {
  readonly model: string;
  readonly backend: string;
  readonly operation: "chat" | "text_completion";
  readonly report: CompletionReport;
}

export interface ServiceOptions<Bindings> {
  readonly limits?: Partial<Limits>;
  readonly price?: PriceCard;
  readonly clock?: Clock;
  readonly breathe?: () => Promise<void>;
  readonly keyBudget?: (key: string, c: Context<any>) => Budget | undefined;
  readonly onCompletion?: (event: CompletionEvent, bindings: Bindings) => void;
  readonly onError?: ((fault: Fault, bindings: Bindings) => unknown) | undefined;
}

export interface Service<Bindings> {
  readonly limits: Limits;
  readonly price: PriceCard;
  readonly clock: Clock;
  readonly breathe: () => Promise<void>;
  readonly keyBudget: (key: string, c: Context<any>) => Budget | undefined;
  readonly onCompletion: (event: CompletionEvent, bindings: Bindings) => void;
  readonly explain: Explain<Bindings>;
}

export function serviceOf<Bindings>(options: ServiceOptions<Bindings>): Service<Bindings> {
  return {
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    price: options.price ?? WORKERS,
    clock: options.clock ?? hostClock,
    breathe: options.breathe ?? breathe,
    keyBudget: options.keyBudget ?? (() => undefined),
    onCompletion: options.onCompletion ?? (() => {}),
    explain: explainWith(options.onError ?? logFault),
  };
}

/** Of a request's time, the share that it may wait for a model: the refusal must arrive in time. */
const WAITING_SHARE = 0.9;

/** How long a request can wait for a model that is being loaded, in milliseconds. */
export function waitMsOf(
  request: Pick<BudgetRequest, "budget">,
  { clock, limits }: Pick<Service<never>, "clock" | "limits">,
  arrivedMs: number,
  beside: BudgetsBeside = {},
): number {
  return Math.max(0, arrivedMs + WAITING_SHARE * latencyMsOf(request, limits, beside) - clock.now());
}

/** Passes pieces on, and the report of the last one to `tell`. */
export async function* told(
  pieces: AsyncIterable<CompletionPiece>,
  tell: (report: CompletionReport) => void,
): AsyncGenerator<CompletionPiece> {
  for await (const piece of pieces) {
    if (piece.report !== undefined) tell(piece.report);
    yield piece;
  }
}

/**
 * How a deployment serves completions, whichever way they come: ceilings, prices, clock, observers.
 */
import type { Context } from "hono";
import type { Budget } from "../engine/budget/budget.ts";
import type { Clock } from "../engine/budget/clock.ts";
import { WORKERS, type PriceCard } from "../engine/budget/price.ts";
import { DEFAULT_LIMITS, latencyMsOf, type BudgetRequest, type CallerBudgets, type DeploymentLimits } from "./budget.ts";
import type { CompletionPiece, CompletionReport } from "./completion.ts";
import { callbackFailures, guardedBreathe, observe, type CallbackFailures } from "./callbacks.ts";
import { explainWith, logFault, type Explain, type Fault } from "./faults.ts";
import { breathe, hostClock, type Host } from "./host.ts";
import { DEFAULT_PREFIX_CACHE, type PrefixCacheSettings } from "./prefix-settings.ts";

/** A completion or a decision that has ended, for logs and metrics. */
export interface CompletionEvent {
  readonly model: string;
  readonly backend: string;
  readonly operation: "chat" | "text_completion" | "decision" | "embeddings";
  /** Whose request it was: the name of the key, or the first digits of its digest; undefined where no key was asked for. */
  readonly caller?: string | undefined;
  readonly report: CompletionReport;
}

/** What the caller of a bearer key may spend on a request; undefined: what everyone may. */
export type KeyBudget = (key: string, c: Context<any>) => Budget | undefined | Promise<Budget | undefined>;

export interface ServiceOptions<Bindings> {
  readonly limits?: { readonly [Limit in keyof DeploymentLimits]?: DeploymentLimits[Limit] | undefined } | undefined;
  readonly prefixCache?: { readonly [Setting in keyof PrefixCacheSettings]?: PrefixCacheSettings[Setting] | undefined } | undefined;
  readonly price?: PriceCard | undefined;
  readonly clock?: Clock | undefined;
  readonly breathe?: (() => Promise<void>) | undefined;
  readonly keyBudget?: KeyBudget | undefined;
  readonly onCompletion?: ((event: CompletionEvent, bindings: Bindings) => unknown) | undefined;
  readonly onError?: ((fault: Fault, bindings: Bindings) => unknown) | undefined;
}

export interface Service<Bindings> {
  readonly limits: DeploymentLimits;
  readonly prefixCache: PrefixCacheSettings;
  readonly price: PriceCard;
  readonly clock: Clock;
  readonly breathe: () => Promise<void>;
  readonly keyBudget: KeyBudget;
  /** Hands a completion or a decision to the deployment's `onCompletion`. Never throws, never waits. */
  readonly notify: (event: CompletionEvent, bindings: Bindings, host: Host) => void;
  readonly failures: CallbackFailures;
  readonly explain: Explain<Bindings>;
}

/** @param options as checkAppOptions gives them */
export function serviceOf<Bindings>(options: ServiceOptions<Bindings>): Service<Bindings> {
  const { onCompletion } = options;
  const failures = callbackFailures();
  return {
    limits: { ...DEFAULT_LIMITS, ...(options.limits as Partial<DeploymentLimits> | undefined) },
    prefixCache: { ...DEFAULT_PREFIX_CACHE, ...(options.prefixCache as Partial<PrefixCacheSettings> | undefined) },
    price: options.price ?? WORKERS,
    clock: options.clock ?? hostClock,
    breathe: options.breathe === undefined ? breathe : guardedBreathe(options.breathe, failures),
    keyBudget: options.keyBudget ?? (() => undefined),
    notify(event, bindings, host) {
      // a copy: what an observer does with it is not felt in the answer
      if (onCompletion !== undefined) observe("onCompletion", () => onCompletion(structuredClone(event), bindings), host, failures);
    },
    failures,
    explain: explainWith(options.onError ?? logFault),
  };
}

/** Share of a request's time that it may wait for a model: the refusal must arrive in time. */
const WAITING_SHARE = 0.9;

/** How long a request can wait for a model that is being loaded, in milliseconds. */
export function waitMsOf(
  request: Pick<BudgetRequest, "budget">,
  { clock, limits }: Pick<Service<never>, "clock" | "limits">,
  arrivedMs: number,
  callerBudgets: CallerBudgets = {},
): number {
  return Math.max(0, arrivedMs + WAITING_SHARE * latencyMsOf(request, limits, callerBudgets) - clock.now());
}

/** Passes pieces on, and the report of the last one to `onReport`; calls `onEnd` when there are no more, however that came. */
export async function* withReport(
  pieces: AsyncIterable<CompletionPiece>,
  onReport: (report: CompletionReport) => void,
  onEnd: () => void,
): AsyncGenerator<CompletionPiece> {
  try {
    for await (const piece of pieces) {
      if (piece.report !== undefined) onReport(piece.report);
      yield piece;
    }
  } finally {
    onEnd();
  }
}

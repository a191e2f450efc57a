/**
 * The options of createApp and createEntrypoint as schemas: what a deployment may say, checked once, when the app is
 * created. Not here: what comes with a request (openai.ts, budget.ts) or from bindings (bindings.ts).
 */
import * as v from "valibot";
import type { Clock } from "../engine/budget/clock.ts";
import { callable, ceiling, checkOptions, describeError, named, notNegative, record, refuse, wholeNumber } from "../engine/options.ts";
import { aliases, checkAliases } from "./aliases.ts";
import { allowedHosts } from "./allowed-hosts.ts";
import { budgetOption } from "./budget-option.ts";
import { steadyClock } from "./callbacks.ts";
import type { ModelOptions, ModelSource } from "./catalogue.ts";
import { corsOptions, type CorsOptions } from "./cross-origin.ts";
import type { Fault } from "./faults.ts";
import { apiKeys, type ApiKeys } from "./keys.ts";
import { isModel } from "./loading.ts";
import { prefixCacheOption } from "./prefix-settings.ts";
import { checkRateNames, rates, type Rates } from "./rates.ts";
import type { CompletionEvent, KeyBudget, ServiceOptions } from "./service.ts";

/** Options of `createApp`: models, who may ask, and what they may spend. */
export interface AppOptions<Bindings extends object> extends ModelOptions<Bindings>, ServiceOptions<Bindings> {
  readonly apiKeys?: ApiKeys | undefined;
  readonly cors?: CorsOptions | undefined;
  /** Counters of callers' requests, by name; "default" counts whoever's key names none. [default nobody is counted] */
  readonly rates?: Rates<Bindings> | undefined;
  /** Host names that the server answers to, without ports. [default any] */
  readonly allowedHosts?: readonly string[] | undefined;
}

const limits = named({
  maxBodyBytes: v.exactOptional(wholeNumber(1)),
  maxPromptCharacters: v.exactOptional(ceiling(1)),
  maxCompletionTokens: v.exactOptional(ceiling(1)),
  maxChoices: v.exactOptional(wholeNumber(1)),
  maxIterations: v.exactOptional(ceiling(1)),
  maxConcurrent: v.exactOptional(ceiling(1)),
  budget: v.exactOptional(budgetOption),
});

const price = named({ name: v.string("a text"), usdPerRequest: notNegative(), usdPerMs: notNegative() });

const clock = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, Clock>((context) => {
    try {
      const given = context.dataset.value as Clock;
      const { now, moves = false }: Clock = given;
      if (typeof now === "function" && typeof moves === "boolean") return steadyClock(given, moves);
      refuse(context, "must be a clock: an object with a function now, and moves true or false where it says that it moves");
    } catch (error) {
      refuse(context, `cannot be read as a clock: ${describeError(error)}`);
    }
    return context.NEVER;
  }),
);

const modelSource = v.custom<ModelSource<any>>(
  (value) => typeof value === "function" || isModel(value),
  "a loaded model or a function that gives one",
);

const appOptions = named({
  model: v.exactOptional(modelSource),
  models: v.exactOptional(record(modelSource)),
  aliases: v.exactOptional(aliases),
  apiKeys: v.exactOptional(apiKeys),
  rates: v.exactOptional(rates),
  cors: v.exactOptional(corsOptions),
  allowedHosts: v.exactOptional(allowedHosts),
  limits: v.exactOptional(limits),
  prefixCache: v.exactOptional(prefixCacheOption),
  price: v.exactOptional(price),
  clock: v.exactOptional(clock),
  breathe: v.exactOptional(callable<() => Promise<void>>()),
  keyBudget: v.exactOptional(callable<KeyBudget>()),
  onCompletion: v.exactOptional(callable<(event: CompletionEvent, bindings: any) => unknown>()),
  onError: v.exactOptional(callable<(fault: Fault, bindings: any) => unknown>()),
});

/**
 * A copy of an app's options, each read once.
 * @param factory who was called, for messages
 * @throws {TypeError} naming the option that is wrong
 */
export function checkAppOptions<Bindings extends object>(factory: string, options: AppOptions<Bindings>): AppOptions<Bindings> {
  const checked = checkOptions(factory, appOptions, options);
  if (checked.model === undefined && Object.keys(checked.models ?? {}).length === 0)
    throw new TypeError(`${factory}: give it a model, or models by name.`);
  checkAliases(factory, checked);
  checkRateNames(factory, checked);
  return checked;
}

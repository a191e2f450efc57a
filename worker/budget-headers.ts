/**
 * Budgets that come as HTTP headers: X-Budget, a structured dictionary, which is refused where anything in it is not
 * understood; Prefer: wait and X-Stainless-Timeout, which are upper bounds only and count where they can be read.
 */
import * as v from "valibot";
import { mergeBudgets, type Budget } from "../engine/budget/budget.ts";
import { FathomError } from "../engine/errors.ts";
import { inspect, printable, strictObject, wholeNumber, type Finding } from "./check.ts";
import { parseDictionary, type Member } from "./structured-fields.ts";
import { budgetEntries, toBudget, type RulesOf } from "./wire-budget.ts";

/** What a request's headers say of its budget. */
export interface BudgetHeaders {
  /** X-Budget, which can be judged as a whole only when the model is known. */
  readonly own: string | undefined;
  /** Upper bounds from the others. */
  readonly bounds: Budget;
  /** The value of Preference-Applied, e.g. `wait=10`. */
  readonly preferenceApplied: string | undefined;
}

/**
 * @param get a header's value by name, lines joined with commas, as Headers.get gives it
 * @example readBudgetHeaders((name) => request.headers.get(name)) // X-Budget: latency-ms=150, iterations=16
 */
export function readBudgetHeaders(get: (name: string) => string | null | undefined): BudgetHeaders {
  const wait = waitOf(get("prefer") ?? "");
  const timeout = seconds(get("x-stainless-timeout") ?? "");
  return {
    own: get("x-budget") ?? undefined,
    bounds: mergeBudgets(wait === undefined ? {} : { latencyMs: wait * 1000 }, timeout === undefined ? {} : { latencyMs: timeout * 1000 }),
    preferenceApplied: wait === undefined ? undefined : `wait=${wait}`,
  };
}

/** What X-Budget says. @throws {FathomError} invalid_request, param "X-Budget" */
export function headerBudget({ own }: Pick<BudgetHeaders, "own">, card?: RulesOf): Budget {
  return own === undefined ? {} : parseBudgetHeader(own, card);
}

/**
 * `latency-ms=150, cost-usd=0.00001, iterations=16, total-iterations=600, min-quality=0.9, max-completion-tokens=64,
 * exit=latent-diff;threshold=0.03;min-iterations=2, on-exhausted=truncate`, by the rules of a body's budget; of repeated
 * keys the stricter counts.
 * @param card the model's, where it is known
 * @throws {FathomError} invalid_request, param "X-Budget"
 */
export function parseBudgetHeader(text: string, card?: RulesOf): Budget {
  const members = parseDictionary(text);
  if (members === undefined) throw refused(`is not a structured dictionary such as latency-ms=150, iterations=16`);
  const schema = strictObject({ ...budgetEntries(card), max_completion_tokens: v.optional(wholeNumber(1)) }, "a dictionary");
  return mergeBudgets(
    ...members.map((member) => {
      const found = inspect(schema, wireForm(member));
      if ("finding" in found) throw refused(sentence(found.finding));
      const { max_completion_tokens: tokens, ...wire } = found.output;
      return { ...toBudget(wire, card), ...(tokens !== undefined && { tokens }) };
    }),
  );
}

/** A member as the body would write it. */
function wireForm({ key, value, parameters }: Member): object {
  const wire = Object.fromEntries([...parameters].map(([name, parameter]) => [swapped(name), parameter]));
  if (key !== "exit" && parameters.size > 0) throw refused(`gives ${printable(key)} a parameter; only exit takes some`);
  if (parameters.has("criterion")) throw refused(`has exit;criterion, which there is not; use ${EXIT_NAMES}`);
  return key === "exit" ? { exit: { ...wire, criterion: value } } : { [swapped(key)]: value };
}

/** Swaps the hyphens and underscores of a name, between the header's spelling and the body's. */
function swapped(name: string): string {
  return name.replaceAll(/[-_]/g, (c) => (c === "-" ? "_" : "-"));
}

function sentence({ field, kind, expected, input }: Finding): string {
  const name = swapped(field)
    .replace(/^exit\.criterion$/, "exit")
    .replace(".", ";");
  if (kind === "unknown") return `has ${printable(name)}, which there is not; use ${field.includes(".") ? EXIT_NAMES : NAMES}`;
  return `has ${name}=${printable(String(input))}; it must be ${expected}`;
}

const NAMES = "latency-ms, cost-usd, iterations, total-iterations, min-quality, max-completion-tokens, exit or on-exhausted";
const EXIT_NAMES = "threshold, wake or min-iterations";

function refused(what: string): FathomError {
  return new FathomError("invalid_request", `The header X-Budget ${what}.`, "X-Budget");
}

/** The smallest `wait` of a Prefer header (RFC 7240); preferences that cannot be read do not count, as is its rule. */
function waitOf(prefer: string): number | undefined {
  const waits = [...prefer.matchAll(/(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[,;]|$)/gi)].map((m) => Number(m[1]));
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** Whole seconds, as the OpenAI SDK sends its timeout. */
function seconds(text: string): number | undefined {
  return /^\s*\d{1,9}(\.\d+)?\s*$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

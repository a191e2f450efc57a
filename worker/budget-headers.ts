/**
 * Budgets that come as HTTP headers: X-Budget, a structured dictionary, which is refused where anything in it is not
 * understood; Prefer: wait and X-Stainless-Timeout, which are upper bounds only and count where they can be read.
 */
import { FathomError } from "../engine/errors.ts";
import { EXIT_CRITERIA, DEFAULT_THRESHOLDS } from "../engine/exit-rule.ts";
import { mergeBudgets, ON_EXHAUSTED, type Budget } from "../engine/budget/budget.ts";
import { parseDictionary, type BareItem, type Member } from "./structured-fields.ts";

export interface HeaderBudget {
  readonly budget: Budget;
  /** For Preference-Applied, e.g. `wait=10`. */
  readonly preferenceApplied: string | undefined;
}

/**
 * @param get a header's value by name, lines joined with commas, as Headers.get gives it
 * @throws {FathomError} invalid_request, param "X-Budget"
 * @example readBudgetHeaders((name) => request.headers.get(name)) // X-Budget: latency-ms=150, iterations=16
 */
export function readBudgetHeaders(get: (name: string) => string | null | undefined): HeaderBudget {
  const own = get("x-budget");
  const wait = waitOf(get("prefer") ?? "");
  const timeout = seconds(get("x-stainless-timeout") ?? "");
  return {
    budget: mergeBudgets(
      own === null || own === undefined ? {} : parseBudgetHeader(own),
      wait === undefined ? {} : { latencyMs: wait * 1000 },
      timeout === undefined ? {} : { latencyMs: timeout * 1000 },
    ),
    preferenceApplied: wait === undefined ? undefined : `wait=${wait}`,
  };
}

/**
 * `latency-ms=150, cost-usd=0.00001, iterations=16, total-iterations=600, max-completion-tokens=64,
 * exit=latent-diff;threshold=0.03;min-iterations=2, on-exhausted=truncate`
 * @throws {FathomError} invalid_request
 */
export function parseBudgetHeader(text: string): Budget {
  const members = parseDictionary(text);
  if (members === undefined) throw refused(`is not a structured dictionary such as latency-ms=150, iterations=16`);
  return mergeBudgets(...members.map(parseMember));
}

function parseMember({ key, value, parameters }: Member): Budget {
  if (key !== "exit" && parameters.size > 0) throw refused(`gives ${key} a parameter; only exit takes some`);
  switch (key) {
    case "latency-ms":
      return { latencyMs: positive(key, value) };
    case "cost-usd":
      return { costUsd: positive(key, value) };
    case "iterations":
      return { iterations: count(key, value) };
    case "total-iterations":
      return { totalIterations: count(key, value) };
    case "max-completion-tokens":
      return { tokens: count(key, value) };
    case "on-exhausted": {
      const onExhausted = ON_EXHAUSTED.find((o) => o === value);
      if (onExhausted === undefined) throw refused(`has on-exhausted=${String(value)}; use ${ON_EXHAUSTED.join(", ")}`);
      return { onExhausted };
    }
    case "exit":
      return parseExit(value, parameters);
    default:
      throw refused(
        `has ${key}, which there is not; use latency-ms, cost-usd, iterations, total-iterations, max-completion-tokens, exit or on-exhausted`,
      );
  }
}

function parseExit(value: BareItem, parameters: Member["parameters"]): Budget {
  const criterion = EXIT_CRITERIA.find((c) => c === value);
  if (criterion === undefined) throw refused(`has exit=${String(value)}; use one of ${EXIT_CRITERIA.join(", ")}`);
  const unknown = [...parameters.keys()].find((name) => !["threshold", "wake", "min-iterations"].includes(name));
  if (unknown !== undefined) throw refused(`has exit;${unknown}, which there is not; use threshold, wake or min-iterations`);
  const threshold = parameters.get("threshold") ?? DEFAULT_THRESHOLDS[criterion];
  const wake = parameters.get("wake");
  const minimum = parameters.get("min-iterations");
  return {
    exit: {
      criterion,
      threshold: notNegative("exit;threshold", threshold),
      ...(wake !== undefined && { wake: notNegative("exit;wake", wake) }),
    },
    ...(minimum !== undefined && { minIterations: Math.floor(notNegative("exit;min-iterations", minimum)) }),
  };
}

function positive(key: string, value: BareItem): number {
  if (typeof value !== "number" || !(value > 0)) throw refused(`has ${key}=${String(value)}; use a number above 0`);
  return value;
}

function notNegative(key: string, value: BareItem): number {
  if (typeof value !== "number" || !(value >= 0)) throw refused(`has ${key}=${String(value)}; use a number from 0`);
  return value;
}

function count(key: string, value: BareItem): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1)
    throw refused(`has ${key}=${String(value)}; use a whole number of at least 1`);
  return value;
}

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

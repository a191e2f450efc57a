/**
 * Checks of command-line values: a wrong one is a named error, never a default.
 */
import { FathomError } from "../engine/errors.ts";

export function choice<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined)
    throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}; use ${allowed.join(", ")}.`, option);
  return found;
}

/** Digits alone: 1e3, 0x10 and 4.0 are not how somebody writes a count on purpose. */
export function wholeNumber(option: string, value: string, min: number, max: number): number {
  const number = /^[+-]?\d+$/.test(value.trim()) ? Number(value) : NaN;
  if (!(number >= min && number <= max))
    throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}; use a whole number from ${min} to ${max}.`, option);
  return number;
}

/** `1,2,4`, each once: `1,2,2` is 1, 2. */
export function wholeNumbers(option: string, value: string, min: number, max: number): number[] {
  return [...new Set(list(option, value).map((part) => wholeNumber(option, part, min, max)))];
}

/** `a,b`: parts without the blanks around them; an empty part is a mistake. */
export function list(option: string, value: string): string[] {
  const parts = value.split(",").map((part) => part.trim());
  if (parts.includes(""))
    throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}, and a part of it is empty; use a,b,c.`, option);
  return parts;
}

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

/** A number above nothing, and not below `least`: 50, 0.5. */
export function positiveNumber(option: string, value: string, least = 0): number {
  const number = /^\d*\.?\d+$/.test(value.trim()) ? Number(value) : NaN;
  if (number > 0 && number >= least) return number;
  const expected = least > 0 ? `a number from ${least} on` : "a number above 0, such as 50 or 0.5";
  throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}; use ${expected}.`, option);
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const LARGEST_MEMORY = 4 * 2 ** 30;

/** `2GiB`, `512MiB`, `512m`, or bytes: from 1 MiB to 4 GiB, of 1024 each. */
export function memoryBytes(option: string, value: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(value.trim()) ?? [];
  const bytes = Math.floor(Number(number) * UNITS[unit.toLowerCase()]!);
  if (!(bytes >= 2 ** 20 && bytes <= LARGEST_MEMORY))
    throw new FathomError(
      "invalid_request",
      `${option} is ${JSON.stringify(value)}; use from 1MiB to 4GiB, such as 512MiB or 2GiB.`,
      option,
    );
  return bytes;
}

/** `1,2,4`, each once: `1,2,2` is 1, 2. */
export function wholeNumbers(option: string, value: string, min: number, max: number): number[] {
  return [...new Set(list(option, value).map((part) => wholeNumber(option, part, min, max)))];
}

/** The values of an option that may be given several times; none where it is left out. */
export function repeated(given: unknown): readonly string[] {
  return (given as readonly string[] | undefined) ?? [];
}

/** `a,b`: parts without the blanks around them; an empty part is a mistake. */
export function list(option: string, value: string): string[] {
  const parts = value.split(",").map((part) => part.trim());
  if (parts.includes(""))
    throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}, and a part of it is empty; use a,b,c.`, option);
  return parts;
}

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

export function wholeNumber(option: string, value: string, min: number, max: number): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isInteger(number) || number < min || number > max)
    throw new FathomError("invalid_request", `${option} is ${JSON.stringify(value)}; use a whole number from ${min} to ${max}.`, option);
  return number;
}

/** `1,2,4` */
export function wholeNumbers(option: string, value: string, min: number, max: number): number[] {
  return value.split(",").map((part) => wholeNumber(option, part, min, max));
}

/**
 * The kinds of values that fields have.
 */
import type { Json, Kind } from "./field.ts";

export function whole(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse: (value) => (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : undefined),
  };
}

export const positive: Kind<number> = {
  expected: "a positive number",
  parse: (value) => (typeof value === "number" && Number.isFinite(value) && value > 0 ? value : undefined),
};

export const notNegative: Kind<number> = {
  expected: "a number of at least 0",
  parse: (value) => (typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined),
};

export const one: Kind<1> = {
  expected: "1",
  parse: (value) => (value === 1 ? value : undefined),
};

export const flag: Kind<boolean> = {
  expected: "true or false",
  parse: (value) => (typeof value === "boolean" ? value : undefined),
};

export const text: Kind<string> = {
  expected: "a text",
  parse: (value) => (typeof value === "string" ? value : undefined),
};

export function oneOf<const T extends string>(...allowed: readonly T[]): Kind<T> {
  return {
    expected: allowed.map((value) => JSON.stringify(value)).join(" or "),
    parse: (value) => allowed.find((one) => one === value),
  };
}

export const object: Kind<Json> = {
  expected: "an object",
  parse: (value) => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined),
};

/** The vocabulary, which says the rest, is another field's. */
export const tokenId: Kind<number> = {
  expected: "a token id",
  parse: (value) => (isTokenId(value) ? value : undefined),
};

export const tokenIds: Kind<readonly number[]> = {
  expected: "a token id or a list of them",
  parse(value) {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    return list.every(isTokenId) ? list : undefined;
  },
};

/** -1 is how older files write "none". */
export const padding: Kind<number> = {
  expected: "a token id",
  parse: (value) => (isTokenId(value) || value === -1 ? value : undefined),
};

function isTokenId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * Results of golden records: each tensor or stream of a case is one. A failure says what differed, where and by how much.
 */

/** GOLDEN tolerance of an f32 engine, absolute. */
export const TOLERANCE = 2e-4;

export type Outcome =
  | { readonly status: "passed" }
  | { readonly status: "failed"; readonly detail: string }
  | { readonly status: "skipped"; readonly detail: string };

export interface Result {
  readonly record: string;
  readonly outcome: Outcome;
}

/** Compares numbers elementwise; names the worst element. */
export function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = TOLERANCE): Outcome {
  if (actual.length !== expected.length) return failed(`has ${actual.length} elements, expected ${expected.length}`);
  let worst = -1;
  let error = tolerance;
  for (let i = 0; i < expected.length; i++) {
    const e = Math.abs(actual[i]! - expected[i]!);
    if (!(e <= error)) [worst, error] = [i, e];
  }
  if (worst < 0) return { status: "passed" };
  return failed(`element ${worst} is ${actual[worst]}, expected ${expected[worst]} (off by ${error}, allowed ${tolerance})`);
}

/** Compares data that must match exactly. */
export function same(actual: unknown, expected: unknown): Outcome {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  return a === e ? { status: "passed" } : failed(`is ${a}, expected ${e}`);
}

/** The first failure of several checks on one record. */
export function all(...outcomes: Outcome[]): Outcome {
  return outcomes.find((o) => o.status === "failed") ?? { status: "passed" };
}

function failed(detail: string): Outcome {
  return { status: "failed", detail };
}

/** Runs a record's check; an exception is a failure. */
export async function check(record: string, run: () => Promise<Outcome> | Outcome): Promise<Result> {
  try {
    return { record, outcome: await run() };
  } catch (error) {
    return { record, outcome: failed(`threw ${(error as Error).stack ?? String(error)}`) };
  }
}

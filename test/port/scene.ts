/**
 * A moment in the life of a backend, with everything in it that a call may be given wrongly; and how that life goes on.
 * Two scenes of which one has seen a refused call must end alike: then the refusal has changed nothing.
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import type { Backend, Inspectable, Row, Sequence, SequenceOptions } from "../../engine/port/backend.ts";
import { startState } from "../kernels/compute.ts";

export type PortBackend = Backend & Partial<Inspectable>;

/** Four positions taken, rows in flight at the first three: the first has run both its iterations, the others one. */
export interface Scene {
  readonly backend: PortBackend;
  readonly sequence: Sequence;
  readonly rows: readonly [Row, Row, Row];
  /** Of position 3. */
  readonly released: Row;
  /** A sequence without attention, with one row. */
  readonly other: { readonly sequence: Sequence; readonly row: Row };
  readonly closed: { readonly sequence: Sequence; readonly row: Row };
  /** Of another backend of the same kind. */
  readonly foreign: { readonly sequence: Sequence; readonly row: Row };
  /** A sequence with one position, and a branch of it; a row of each, without an iteration. */
  readonly family: { readonly parent: Sequence; readonly branch: Sequence; readonly rows: readonly [Row, Row] };
  /** Cache without lookup: position 0 has run one iteration, position 1 the same. */
  readonly strict: { readonly sequence: Sequence; readonly rows: readonly [Row, Row] };
}

const FULL = parseCacheStrategy("full");
export const OPTIONS: SequenceOptions = { capacity: 8, maxIterations: 2, cache: FULL, rows: 5 };

async function open(
  backend: PortBackend,
  options: SequenceOptions,
  tokens: readonly number[],
): Promise<{ sequence: Sequence; rows: Row[] }> {
  const sequence = backend.openSequence(options);
  const { width } = backend.config;
  return { sequence, rows: await backend.prelude(tokens.map((token, i) => ({ sequence, token, state: startState(width, i) }))) };
}

export async function makeScene(backend: PortBackend, stranger: PortBackend): Promise<Scene> {
  const { sequence, rows } = await open(backend, { ...OPTIONS, attention: backend.pressure !== undefined }, [3, 1, 4, 1]);
  await backend.iterate(rows.slice(0, 3));
  await backend.iterate(rows.slice(0, 1));
  await backend.readout(rows, rows.slice(0, 1));
  backend.release(rows.slice(3));
  const other = await open(backend, OPTIONS, [5]);
  const closed = await open(backend, OPTIONS, [9]);
  backend.closeSequence(closed.sequence);
  const foreign = await open(stranger, OPTIONS, [2]);
  const strict = await open(backend, { ...OPTIONS, cache: parseCacheStrategy("compress-s16") }, [6, 5]);
  await backend.iterate(strict.rows);
  const parent = await open(backend, OPTIONS, [8]);
  const branch = backend.branch(parent.sequence, { capacity: 3, rows: 2 });
  const [behind] = await backend.prelude([{ sequence: branch, token: 9 }]);
  return {
    backend,
    sequence,
    rows: [rows[0]!, rows[1]!, rows[2]!],
    released: rows[3]!,
    other: { sequence: other.sequence, row: other.rows[0]! },
    closed: { sequence: closed.sequence, row: closed.rows[0]! },
    foreign: { sequence: foreign.sequence, row: foreign.rows[0]! },
    family: { parent: parent.sequence, branch, rows: [parent.rows[0]!, behind!] },
    strict: { sequence: strict.sequence, rows: [strict.rows[0]!, strict.rows[1]!] },
  };
}

/** What can be seen of a scene from outside, and all numbers that come out of it when it goes on to its end. */
export interface Ending {
  readonly seen: readonly unknown[];
  readonly numbers: readonly (readonly number[])[];
}

export async function endOf({ backend, sequence, rows, other, strict, family }: Scene): Promise<Ending> {
  const seen: unknown[] = [sequence.length, other.sequence.length, strict.sequence.length, backend.memory().usedBytes];
  seen.push(family.parent.length, family.branch.length);
  const numbers: number[][] = [];
  for (const row of [...rows, other.row, ...strict.rows, ...family.rows]) {
    seen.push([row.position, row.token, row.iterations]);
    numbers.push([...(await backend.latent(row, "raw"))]);
  }
  for (const { distance, norm, previousNorm, dot } of await backend.measure(rows)) numbers.push([distance, norm, previousNorm, dot]);
  await backend.iterate([rows[1], other.row, rows[2]]);
  await backend.iterate([...strict.rows, ...family.rows]);
  if (backend.pressure !== undefined) numbers.push([...(await backend.pressure(rows, Float32Array.of(1, 2, 3, 4)))]);
  const logits = await backend.readout(
    [rows[2], other.row, rows[0], rows[1], ...strict.rows, ...family.rows],
    [strict.rows[1], rows[2], rows[0], family.rows[1]],
  );
  numbers.push(...logits.map((values) => [...values]));
  const [next] = await backend.prelude([{ sequence, token: 7, state: startState(backend.config.width, 9) }]);
  seen.push(next!.position);
  await backend.iterate([next!]);
  numbers.push([...(await backend.latent(next!, "normalised"))]);
  numbers.push(...(await backend.readout([next!], [next!])).map((values) => [...values]));
  backend.release([...rows, next!]);
  backend.truncate(sequence, 1);
  const again = await backend.prelude([2, 2].map((token) => ({ sequence, token })));
  await backend.iterate(again);
  numbers.push(...(await backend.readout(again, again)).map((values) => [...values]));
  seen.push(sequence.length, backend.cachedSlots?.(sequence));
  return { seen, numbers };
}

/** Closes what a scene has left open. */
export function closeScene({ backend, sequence, other, strict, family }: Scene, stranger: PortBackend, { foreign }: Scene): void {
  for (const open of [sequence, other.sequence, strict.sequence, family.branch, family.parent]) backend.closeSequence(open);
  stranger.closeSequence(foreign.sequence);
}

/**
 * Reads leaves: what they see and themselves through the coda, and the logits of the rows that say what they score. What
 * an input and a question leave in the coda is made once where they have ended.
 */
import { NO_READ, type DecisionPolicy, type Load, type PassShape, type ReadLoad } from "../decision-policy.ts";
import type { Backend, Row } from "../port/backend.ts";
import type { OpenLeaf } from "./enter.ts";
import { LoadCount } from "./passes.ts";
import type { LeafScores, Reader } from "./readers.ts";
import { inCalls } from "./sequences.ts";
import type { Stretch } from "./stretch.ts";

/** Logits that are held at once while leaves are read, in f32. */
const LOGITS_AT_ONCE = 1 << 20;

export interface ReadTerms {
  readonly backend: Backend;
  readonly reader: Reader;
  readonly policy: DecisionPolicy;
}

/** Adds its scores after an iteration to each leaf. */
export async function readLeaves(leaves: readonly OpenLeaf[], iteration: number, { backend, reader, policy }: ReadTerms): Promise<void> {
  if (leaves.length === 0) return;
  policy.read(readLoad(leaves, reader));
  const shared = sharedBy(leaves);
  let before: readonly Row[] = shared.flatMap(({ rows, isRead }) => (isRead ? [] : rows));
  for (const part of inParts(leaves, (leaf) => headCount(leaf, reader) * reader.logits)) {
    const heads = part.map(({ stretch }) => reader.heads(stretch.before!.last, stretch.rows));
    const rows = [...before, ...part.flatMap(({ stretch }) => stretch.rows)];
    const logits = await readHeads(backend, rows, heads.flat(), reader.tokens);
    part.forEach(({ question, leaf, points }, i) => {
      const scores: LeafScores = reader.scores(
        question,
        leaf,
        heads[i]!.map((head) => logits.get(head)!),
      );
      points.push({ iteration, ...scores });
    });
    before = []; // their keys and values are there
  }
  for (const stretch of shared) stretch.isRead = stretch.hasEnded && stretch.active.length === 0; // by some rules rows go on for those behind them
}

/** Input and questions that leaves see, in causal order. */
function sharedBy(leaves: readonly OpenLeaf[]): Stretch[] {
  const questions = new Set(leaves.map(({ stretch }) => stretch.before!));
  return [...new Set(Array.from(questions, ({ before }) => before!)), ...questions];
}

/** What is left to read of what leaves see. */
function sharedLoad(leaves: readonly OpenLeaf[]): LoadCount {
  const load = new LoadCount();
  for (const { isRead, rows } of sharedBy(leaves)) if (!isRead) load.add(rows.length, rows[0]?.position ?? 0, 0);
  return load;
}

/** What reading leaves takes, and what they see. */
function readLoad(leaves: readonly OpenLeaf[], reader: Reader): ReadLoad {
  const load = sharedLoad(leaves);
  const again = new Set<Row>();
  for (const leaf of leaves) {
    const { rows, before } = leaf.stretch;
    const { last, isRead } = before!;
    load.add(rows.length, last.position + 1, headCount(leaf, reader));
    if (isRead && reader.heads(last, rows)[0] === last) again.add(last);
  }
  for (const { position } of again) load.add(1, position, 0);
  return load.read(reader.logits);
}

function headCount({ question, leaf }: OpenLeaf, reader: Reader): number {
  return reader.headCount(question.leaves[leaf]!.length);
}

/** What leaves that go on take next: the rows that run, and the most that is read. */
export function shapeOfLeaves(leaves: readonly OpenLeaf[], reader: Reader): PassShape {
  const rows = loadOf(activeRows(leaves));
  const read = readLoad(leaves, reader);
  return reader.readsAlways ? { rows, eachRead: read, lastRead: NO_READ } : { rows, eachRead: sharedLoad(leaves).read(0), lastRead: read };
}

/** Leaves and what they see, in causal order. */
export function stretchesOf(leaves: readonly OpenLeaf[]): Stretch[] {
  return [...sharedBy(leaves), ...leaves.map(({ stretch }) => stretch)];
}

export function activeRows(leaves: readonly OpenLeaf[]): Row[] {
  return stretchesOf(leaves).flatMap(({ active }) => active);
}

export function loadOf(rows: readonly Row[]): Load {
  return { rows: rows.length, seen: rows.reduce((sum, { position }) => sum + position + 1, 0) };
}

/** Rows through the coda, and the logits of heads, which may be named several times and may have passed it before. */
async function readHeads(
  backend: Backend,
  rows: readonly Row[],
  heads: readonly Row[],
  tokens: readonly number[] | undefined,
): Promise<Map<Row, Float32Array>> {
  const wanted = new Set(heads);
  const all = new Set([...rows, ...heads]);
  const logits = new Map<Row, Float32Array>();
  await inCalls(backend, [...all], async (part) => {
    const own = part.filter((row) => wanted.has(row));
    const read = await backend.readout(part, own, tokens);
    own.forEach((head, i) => logits.set(head, read[i]!));
  });
  return logits;
}

/** Leaves whose logits fit into memory together. */
function inParts(leaves: readonly OpenLeaf[], logitsOf: (leaf: OpenLeaf) => number): OpenLeaf[][] {
  const parts: OpenLeaf[][] = [[]];
  let held = 0;
  for (const leaf of leaves) {
    const logits = logitsOf(leaf);
    if (held > 0 && held + logits > LOGITS_AT_ONCE) {
      parts.push([]);
      held = 0;
    }
    parts.at(-1)!.push(leaf);
    held += logits;
  }
  return parts;
}

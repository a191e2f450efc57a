/**
 * A decision cut into passes that fit into memory one after the other. All rows of a pass advance together, so every row
 * reads keys of its own iteration, and a cache that keeps a single iteration is exact: a leaf's numbers are those of one
 * plain sequence under the full cache, whichever pass it is in. What the input and a question cost again in each of
 * their passes is the price of memory that grows neither with depth nor with the number of options.
 */
import { parseCacheStrategy, type CacheStrategy } from "../cache-strategy.ts";
import { NO_READ, type DecisionShape, type Load, type PassShape, type ReadLoad } from "../decision-policy.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Backend } from "../port/backend.ts";
import type { Reader } from "./readers.ts";
import type { InputTree, QuestionTree } from "./tree.ts";

/** A question and those of its leaves that a pass holds. */
export interface PassQuestion {
  readonly question: QuestionTree;
  /** Indices of leaves, ascending. */
  readonly leaves: readonly number[];
}

export interface Pass {
  readonly tokens: readonly number[];
  readonly questions: readonly PassQuestion[];
  /** Bytes of the pass's sequences and rows. */
  readonly bytes: number;
}

/** Rows of the last iteration are all that is ever read. */
export function passCache({ coreLayers }: ModelConfig): CacheStrategy {
  return parseCacheStrategy(`latest-m${coreLayers}-compress-s${coreLayers}`);
}

/**
 * Cuts trees into passes of at most `limitBytes` each, if a single leaf is not larger by itself. The largest comes
 * first, so that whoever has room for it has room for all.
 */
export function cutPasses(
  trees: readonly InputTree[],
  reader: Reader,
  backend: Backend,
  limitBytes: number,
  leavesOf: LeavesOf = ({ leaves }) => leaves.map((_, i) => i),
): Pass[] {
  return trees.flatMap((tree) => cutTree(tree, reader, backend, limitBytes, leavesOf)).sort((a, b) => b.bytes - a.bytes);
}

/** Which leaves of a question become rows. */
export type LeavesOf = (question: QuestionTree) => readonly number[];

function cutTree({ tokens, questions }: InputTree, reader: Reader, backend: Backend, limitBytes: number, leavesOf: LeavesOf): Pass[] {
  const bytesOf = stretchBytes(backend);
  const input = bytesOf(tokens.length, 0);
  const passes: Pass[] = [];
  let open: { questions: { question: QuestionTree; leaves: number[] }[]; bytes: number } = { questions: [], bytes: input };
  for (const question of questions) {
    const start = tokens.length + question.tokens.length;
    const own = bytesOf(question.tokens.length, tokens.length);
    let isOpen = false;
    for (const i of leavesOf(question)) {
      const bytes = bytesOf(reader.rowCount(question.leaves[i]!.length), start);
      if (open.questions.length > 0 && open.bytes + bytes + (isOpen ? 0 : own) > limitBytes) {
        passes.push({ tokens, ...open });
        open = { questions: [], bytes: input };
        isOpen = false;
      }
      if (!isOpen) {
        open.questions.push({ question, leaves: [] });
        open.bytes += own;
        isOpen = true;
      }
      open.questions.at(-1)!.leaves.push(i);
      open.bytes += bytes;
    }
  }
  return open.questions.length === 0 ? passes : [...passes, { tokens, ...open }];
}

/** Bytes of so many positions behind others; they are many of few kinds. */
function stretchBytes(backend: Backend): (capacity: number, start: number) => number {
  const known = new Map<string, number>();
  const cache = passCache(backend.config);
  return (capacity, start) => {
    if (capacity === 0) return 0;
    const key = `${capacity} ${start}`;
    const bytes = known.get(key) ?? backend.sequenceBytes({ capacity, maxIterations: 1, cache }, start);
    known.set(key, bytes);
    return bytes;
  };
}

/** What passes cost at most, counted in rows. */
export function shapeOf(passes: readonly Pass[], reader: Reader): DecisionShape {
  return { passes: passes.map((pass) => shapeOfPass(pass, reader)) };
}

export function shapeOfPass({ tokens, questions }: Pass, reader: Reader): PassShape {
  const leafTokens = ({ question, leaves }: PassQuestion): number[] => leaves.map((i) => question.leaves[i]!.length);
  return passShape(
    tokens.length,
    questions.map((of) => ({ rows: of.question.tokens.length, leaves: leafTokens(of) })),
    reader,
  );
}

/**
 * What rows of a pass cost that iterate together.
 * @param input rows of the input
 * @param questions rows of each, and the tokens of its leaves
 */
export function passShape(
  input: number,
  questions: readonly { readonly rows: number; readonly leaves: readonly number[] }[],
  reader: Reader,
): PassShape {
  const [all, shared] = [new LoadCount(), new LoadCount()];
  for (const count of [all, shared]) count.add(input, 0, 0);
  for (const { rows, leaves } of questions) {
    for (const count of [all, shared]) count.add(rows, input, 0);
    for (const tokens of leaves) all.add(reader.rowCount(tokens), input + rows, reader.headCount(tokens));
  }
  const read = all.read(reader.logits);
  return reader.readsAlways
    ? { rows: all.rows, eachRead: read, lastRead: NO_READ }
    : { rows: all.rows, eachRead: shared.read(0), lastRead: read };
}

/** Adds up stretches of rows. */
export class LoadCount {
  #rows = 0;
  #seen = 0;
  #heads = 0;
  #headsSeen = 0;

  /** @param start positions before them @param heads how many of them are read */
  add(rows: number, start: number, heads: number): void {
    this.#rows += rows;
    this.#seen += rows * start + (rows * (rows + 1)) / 2;
    this.#heads += heads;
    this.#headsSeen += heads * (start + rows);
  }

  get rows(): Load {
    return { rows: this.#rows, seen: this.#seen };
  }

  /** @param logits computed a head */
  read(logits: number): ReadLoad {
    return { ...this.rows, heads: this.#heads, headsSeen: this.#headsSeen, logits: this.#heads * logits };
  }
}

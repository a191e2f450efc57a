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
import type { PromptPrefix } from "../port/prefix.ts";
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
  /** What the input takes over of an earlier one, and leaves to later ones. [default nothing] */
  readonly prefix?: PromptPrefix | undefined;
}

/** Rows of the last iteration are all that is ever read. */
export function passCache({ coreLayers }: ModelConfig): CacheStrategy {
  return parseCacheStrategy(`latest-m${coreLayers}-compress-s${coreLayers}`);
}

/**
 * Cuts trees into passes of at most `limitBytes` each, if a single leaf is not larger by itself. The largest comes
 * first, so that whoever has room for it has room for all.
 * @param attention whether rows keep what they attend to, for `rest-wake` [default false]
 */
export function cutPasses(
  trees: readonly InputTree[],
  reader: Reader,
  backend: Backend,
  limitBytes: number,
  attention = false,
  leavesOf: LeavesOf = ({ leaves }) => leaves.map((_, i) => i),
): Pass[] {
  const bytesOf = stretchBytes(backend, attention);
  return trees.flatMap((tree) => cutTree(tree, reader, bytesOf, limitBytes, leavesOf)).sort((a, b) => b.bytes - a.bytes);
}

/** Which leaves of a question become rows. */
export type LeavesOf = (question: QuestionTree) => readonly number[];

function cutTree({ tokens, questions }: InputTree, reader: Reader, bytesOf: StretchBytes, limitBytes: number, leavesOf: LeavesOf): Pass[] {
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

/** Bytes of so many positions behind others. */
export type StretchBytes = (capacity: number, start: number) => number;

/** Counts bytes of stretches, which are many of few kinds. @param attention whether rows keep what they attend to */
export function stretchBytes(backend: Backend, attention: boolean): StretchBytes {
  const known = new Map<string, number>();
  const cache = passCache(backend.config);
  return (capacity, start) => {
    if (capacity === 0) return 0;
    const key = `${capacity} ${start}`;
    const bytes = known.get(key) ?? backend.sequenceBytes({ capacity, maxIterations: 1, cache, attention }, start);
    known.set(key, bytes);
    return bytes;
  };
}

/** What passes cost at most, counted in rows. */
export function shapeOf(passes: readonly Pass[], reader: Reader): DecisionShape {
  return { passes: passes.map((pass) => shapeOfPass(pass, reader)) };
}

export function shapeOfPass({ tokens, questions, prefix }: Pass, reader: Reader): PassShape {
  const found = prefix?.found?.length ?? 0;
  const [all, shared] = [new LoadCount(), new LoadCount()];
  for (const count of [all, shared]) count.add(tokens.length - found, found, 0);
  for (const { question, leaves } of questions) {
    const start = tokens.length + question.tokens.length;
    for (const count of [all, shared]) count.add(question.tokens.length, tokens.length, 0);
    for (const i of leaves) {
      const own = question.leaves[i]!.length;
      all.add(reader.rowCount(own), start, reader.headCount(own));
    }
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

/**
 * The words of a text as numbers: its words, pairs of neighbours, and pieces of words, counted in a fixed number of
 * buckets. What a text says beside what it means: own labels weigh both. Pure, and the same on every machine.
 */

/** Buckets that are not zero, and what they hold; their squares add up to 1. */
export interface Wording {
  readonly buckets: readonly number[];
  readonly values: readonly number[];
}

/** Lengths of the pieces of words, in UTF-16 units, a border at either end counted in. */
const PIECES = [3, 4];

/** @param size how many buckets there are */
export function wordingOf(text: string, size: number): Wording {
  const counts = new Map<string, number>();
  for (const gram of gramsOf(text)) counts.set(gram, (counts.get(gram) ?? 0) + 1);
  const sums = new Map<number, number>();
  for (const [gram, count] of counts) {
    const hash = hashOf(gram);
    const value = (1 + Math.log(count)) * (hash & 1 ? 1 : -1);
    const bucket = (hash >>> 1) % size;
    sums.set(bucket, (sums.get(bucket) ?? 0) + value);
  }
  const norm = Math.hypot(...sums.values()) || 1;
  return { buckets: [...sums.keys()], values: Array.from(sums.values(), (value) => value / norm) };
}

function gramsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.flatMap((word, i) => {
    const bordered = ` ${word} `;
    const pieces = PIECES.flatMap((length) =>
      Array.from({ length: Math.max(0, bordered.length - length + 1) }, (_, at) => `-${bordered.slice(at, at + length)}`),
    );
    return i === 0 ? [word, ...pieces] : [word, `${words[i - 1]!} ${word}`, ...pieces];
  });
}

/** FNV-1a over UTF-16 units, its bits mixed at the end (MurmurHash3's finish), as the low ones choose bucket and sign. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

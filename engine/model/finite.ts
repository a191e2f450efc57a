/**
 * Weights that are no numbers, found while they stream past: one of them makes every answer of a model nonsense.
 */
import { FathomError } from "../errors.ts";
import { blockBytes, TILE_ROWS, type QuantLayout } from "./quantised.ts";
import type { TensorWriter } from "./safetensors.ts";

/** No half-precision checkpoint has weights above 65504, and a scale is at most a seventh of one: more is damage. */
const LARGEST_SCALE = 65536;
const SCALE_WORDS = TILE_ROWS;

/** The bits of a float's exponent: all of them are set in Inf and NaN alone. */
const EXPONENT = 0x7f800000;
const LOWEST_EXPONENT_BIT = 0x800000;

/** Passes little-endian f32 on. @throws {FathomError} invalid_checkpoint at the first that is no finite number */
export function finiteFloats(name: string, to: TensorWriter): TensorWriter {
  return inWords(to, (words, first) => {
    let overflow = 0; // its sign bit is set by an exponent of ones
    for (let i = 0; i < words.length; i++) overflow |= (words[i]! & EXPONENT) + LOWEST_EXPONENT_BIT;
    if (overflow >= 0) return;
    const at = words.findIndex((word) => (word & EXPONENT) === EXPONENT);
    throw notFinite(name, `holds ${floatOf(words[at]!)} at element ${first + at}; weights must be finite numbers`);
  });
}

/** Passes quantised tiles on. @throws {FathomError} invalid_checkpoint at the first scale that is no number, or absurd */
export function finiteScales(name: string, layout: QuantLayout, to: TensorWriter): TensorWriter {
  const blockWords = blockBytes(layout.format, layout.group) / 4;
  return inWords(to, (words, first) => {
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
    for (let block = Math.floor(first / blockWords); ; block++) {
      const scales = (block + 1) * blockWords - SCALE_WORDS - first;
      if (scales >= words.length) return;
      for (let i = Math.max(0, scales); i < Math.min(scales + SCALE_WORDS, words.length); i++)
        if (!(Math.abs(floats[i]!) <= LARGEST_SCALE)) throw badScale(name, layout, first + i, floats[i]!);
    }
  });
}

/** Checks that all scales of whole tiles are finite. @throws {FathomError} invalid_checkpoint */
export function checkScales(name: string, tiles: Uint8Array, layout: QuantLayout): void {
  finiteScales(name, layout, { write() {}, done() {} }).write(tiles);
}

function badScale(name: string, layout: QuantLayout, word: number, scale: number): FathomError {
  const blockWords = blockBytes(layout.format, layout.group) / 4;
  const block = Math.floor(word / blockWords);
  const groups = layout.columns / layout.group;
  const row = Math.floor(block / groups) * TILE_ROWS + (word - (block + 1) * blockWords + SCALE_WORDS);
  const column = (block % groups) * layout.group;
  return notFinite(
    name,
    `has the ${layout.format} scale ${scale} in row ${row}, columns ${column} to ${column + layout.group - 1}; a scale is at most ${LARGEST_SCALE}`,
  );
}

function notFinite(name: string, what: string): FathomError {
  return new FathomError("invalid_checkpoint", `Tensor ${name} ${what}. Copy the file again, or export the model anew.`, name);
}

function floatOf(bits: number): number {
  return new Float32Array(new Uint32Array([bits]).buffer)[0]!;
}

/** Shows `check` the words that chunks of any size make, little-endian, and passes the chunks on. */
function inWords(to: TensorWriter, check: (words: Uint32Array<ArrayBuffer>, first: number) => void): TensorWriter {
  const split = new Uint8Array(4); // a word whose end has not arrived
  const splitWord = new Uint32Array(split.buffer);
  let [splitBytes, first] = [0, 0];
  return {
    write(chunk) {
      let at = 0;
      while (splitBytes > 0 && at < chunk.length) {
        split[splitBytes++] = chunk[at++]!;
        if (splitBytes < 4) continue;
        check(splitWord, first++);
        splitBytes = 0;
      }
      const count = (chunk.length - at) >> 2;
      if (count > 0) check(wordsOf(chunk, at, count), first);
      first += count;
      for (at += count * 4; at < chunk.length; at++) split[splitBytes++] = chunk[at]!;
      to.write(chunk);
    },
    done: () => to.done(),
  };
}

/** A view where the bytes lie at a word's start, else a copy. */
function wordsOf(chunk: Uint8Array, at: number, count: number): Uint32Array<ArrayBuffer> {
  const begin = chunk.byteOffset + at;
  const buffer = chunk.buffer as ArrayBuffer;
  if (begin % 4 === 0) return new Uint32Array(buffer, begin, count);
  return new Uint32Array(buffer.slice(begin, begin + count * 4));
}

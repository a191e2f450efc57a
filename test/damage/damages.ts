/**
 * Ways in which a model folder comes to harm: bits, cuts, swaps, missing files, edits. Every one must be refused by name.
 * Random, by a seed; files are name to bytes.
 */
import { uniform } from "../../engine/random.ts";

export type Files = Readonly<Record<string, Uint8Array>>;

/** Numbers of one case: the n-th is the same for the same seed and case. */
export interface Dice {
  /** A whole number from 0 to below `n`. */
  below(n: number): number;
  pick<T>(values: readonly T[]): T;
}

export function dice(seed: number, run: number): Dice {
  let draws = 0;
  const below = (n: number): number => Math.floor(uniform(seed, run, draws++) * n);
  return { below, pick: (values) => values[below(values.length)]! };
}

type Damage = (files: Files, dice: Dice) => { files: Files; what: string };

const LISTED = (files: Files): string[] => Object.keys(files).filter((name) => name !== "card.json");
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const encode = (content: string): Uint8Array => new TextEncoder().encode(content);

function edited(files: Files, name: string, edit: (bytes: Uint8Array) => Uint8Array): Files {
  return { ...files, [name]: edit(files[name]!.slice()) };
}

export const DAMAGES: Readonly<Record<string, Damage>> = {
  bit(files, { below, pick }) {
    const name = pick(LISTED(files));
    const [at, bit] = [below(files[name]!.length), below(8)];
    const flip = (bytes: Uint8Array): Uint8Array => ((bytes[at]! ^= 1 << bit), bytes);
    return { files: edited(files, name, flip), what: `${name}: bit ${bit} of byte ${at}` };
  },
  cut(files, { below, pick }) {
    const name = pick(Object.keys(files));
    const length = below(files[name]!.length - 2); // the line end after a card says nothing
    return { files: edited(files, name, (bytes) => bytes.subarray(0, length)), what: `${name}: cut to ${length} bytes` };
  },
  appended(files, { below, pick }) {
    const name = pick(Object.keys(files));
    const more = Uint8Array.from({ length: 1 + below(5000) }, () => 33 + below(90));
    return { files: edited(files, name, (bytes) => new Uint8Array([...bytes, ...more])), what: `${name}: ${more.length} bytes more` };
  },
  missing(files, { pick }) {
    const name = pick(Object.keys(files));
    const { [name]: _, ...rest } = files;
    return { files: rest, what: `${name}: missing` };
  },
  "swapped files"(files, { pick }) {
    const a = pick(Object.keys(files));
    const b = pick(Object.keys(files).filter((name) => name !== a));
    return { files: { ...files, [a]: files[b]!, [b]: files[a]! }, what: `${a} and ${b}: swapped` };
  },
  "swapped tensors"(files, { pick }) {
    const name = "model.safetensors";
    const bytes = files[name]!.slice();
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const { __metadata__: _, ...entries } = JSON.parse(text(bytes.subarray(8, 8 + length))) as Record<
      string,
      { shape: number[]; data_offsets: [number, number] }
    >;
    const sizes = Map.groupBy(Object.keys(entries), (tensor) => JSON.stringify(entries[tensor]!.shape));
    const same = pick([...sizes.values()].filter((tensors) => tensors.length > 1));
    const a = pick(same);
    const b = pick(same.filter((tensor) => tensor !== a));
    const range = (tensor: string): [number, number] => entries[tensor]!.data_offsets.map((at) => 8 + length + at) as [number, number];
    const [ofA, ofB] = [files[name]!.slice(...range(a)), files[name]!.slice(...range(b))];
    bytes.set(ofB, range(a)[0]);
    bytes.set(ofA, range(b)[0]);
    return { files: { ...files, [name]: bytes }, what: `${a} and ${b}: swapped` };
  },
  "edited JSON"(files, { below, pick }) {
    const name = pick(["config.json", "tokenizer.json"]);
    const json = text(files[name]!);
    const numbers = [...json.matchAll(/: (\d+)/g)];
    const { index, 0: found } = pick(numbers);
    const other = `: ${Number(found.slice(2)) + 1 + below(9)}`;
    return {
      files: { ...files, [name]: encode(json.slice(0, index) + other + json.slice(index + found.length)) },
      what: `${name}: ${found} is ${other} at ${index}`,
    };
  },
  "edited list"(files, { pick }) {
    const card = JSON.parse(text(files["card.json"]!)) as { files: Record<string, { sha256: string; bytes: number }> };
    const name = pick(Object.keys(card.files));
    const field = pick(["sha256", "bytes"] as const);
    const entry = card.files[name]!;
    if (field === "bytes") entry.bytes++;
    else entry.sha256 = entry.sha256.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    return { files: { ...files, "card.json": encode(JSON.stringify(card)) }, what: `card.json: another ${field} of ${name}` };
  },
};

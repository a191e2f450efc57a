/**
 * The records that the host writes for the kernels, by the names of their fields. Where each field lies is the build's to
 * say: wasm/assembly/records.ts declares them and exports the places. A build of other records is refused by name.
 */
import { FathomError } from "../engine/errors.ts";
import type { Arena } from "./arena.ts";

/** Fields and what they hold; addresses, sizes and offsets are i32. */
const FIELDS = {
  /** Where what belongs to a row of a call lies. */
  Row: { x: "i32", query: "i32", entry: "i32", list: "i32", count: "i32", shift: "i32", angles: "i32", strongest: "i32" },
  /** A matrix, and how the rows lie that pass through it. */
  Matrix: { weights: "i32", tileBytes: "i32", columns: "i32", group: "i32", form: "i32", xStride: "i32", yStride: "i32" },
  /** What all blocks of a model have in common. */
  Block: {
    width: "i32",
    eps: "f32",
    heads: "i32",
    kvHeads: "i32",
    headDim: "i32",
    interleaved: "i32",
    scale: "f32",
    valueOffset: "i32",
    scaleOffset: "i32",
  },
} as const;

type RecordName = keyof typeof FIELDS;
export type RecordValues<Name extends RecordName> = { readonly [Field in keyof (typeof FIELDS)[Name]]: number };

export interface RecordLayout<Name extends RecordName> {
  readonly name: Name;
  readonly bytes: number;
  /** Words from the record's start to each field. */
  readonly at: RecordValues<Name>;
}

export type RecordLayouts = { readonly [Name in RecordName]: RecordLayout<Name> };

/** The records of a build. @throws {FathomError} unavailable, naming a field that the build or the host does not know */
export function recordsOf(exports: WebAssembly.Exports): RecordLayouts {
  return { Row: layoutOf("Row", exports), Matrix: layoutOf("Matrix", exports), Block: layoutOf("Block", exports) };
}

function layoutOf<Name extends RecordName>(name: Name, exports: WebAssembly.Exports): RecordLayout<Name> {
  const fields = Object.keys(FIELDS[name]);
  const exported = Object.keys(exports).filter((key) => key.startsWith(`${name}_`));
  const unknown = exported.find((key) => key !== `${name}_bytes` && !fields.includes(key.slice(name.length + 1)));
  if (unknown !== undefined) throw mismatch(`has a field ${unknown} that this host does not write`);
  const read = (field: string): number => readGlobal(exports, `${name}_${field}`);
  const at = Object.fromEntries(fields.map((field) => [field, read(field) / 4]));
  return { name, bytes: read("bytes"), at: at as RecordValues<Name> };
}

/** @throws {FathomError} unavailable, where the build has no such number */
export function readGlobal(exports: WebAssembly.Exports, name: string): number {
  const found = exports[name];
  if (!(found instanceof WebAssembly.Global)) throw mismatch(`has no export ${name}`);
  return Number(found.value);
}

/** What is said of a build that does not belong to this host. @param what the rest of the sentence "This build ..." */
export function mismatch(what: string): FathomError {
  return new FathomError("unavailable", `This build of the Wasm kernels ${what}; make it anew with npm run build:wasm.`, "module");
}

export function writeRecord<Name extends RecordName>(
  arena: Arena,
  { name, at }: RecordLayout<Name>,
  address: number,
  values: RecordValues<Name>,
): void {
  const types: Readonly<Record<string, string>> = FIELDS[name];
  for (const [field, value] of Object.entries<number>(values)) {
    const index = address / 4 + at[field as keyof RecordValues<Name>];
    if (types[field] === "f32") arena.floats[index] = value;
    else arena.words[index] = value;
  }
}

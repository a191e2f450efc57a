/**
 * Lists of the fields of a model folder's JSON files, as data: what is read, refused or ignored. Parsers read through
 * these lists alone, and docs/model-format.md is written from them, so that neither says what the other does not do.
 * Not here: the lists themselves (one file each beside this one), what a field means to a model (docs/field-notes.ts).
 */
import { FathomError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";

/** What values a field may have. */
export interface Kind<T> {
  /** Completes "expected ..." and "is not ...". */
  readonly expected: string;
  /** Reads a value; undefined where it is not of this kind. */
  parse(value: unknown): T | undefined;
}

export interface ReadField<T = unknown> {
  readonly kind: Kind<T>;
}

/** Fields by name; a part of a field that is an object is named with a dot, "rope_scaling.factor". */
export type ReadFields = Readonly<Record<string, ReadField>>;

/** Fields that would change what a model computes and that Fathom has no formula for. */
export interface RefusedFields {
  readonly names: readonly string[];
  /** Values (besides null) under which nothing changes. */
  readonly neutral: readonly unknown[];
  /** What the field would do, in markdown. */
  readonly note: string;
  /** When the field is harmless for all that. */
  readonly except?: Exception;
}

export interface Exception {
  /** Completes "refused, except where"; markdown. */
  readonly note: string;
  readonly holds: (json: Json) => boolean;
}

/** Fields that change nothing of what a model computes here. */
export interface IgnoredFields {
  readonly names: readonly string[];
  /** Values (besides null) that need no word. Another one is told, as the file's author meant something by it. [default any] */
  readonly silent?: readonly unknown[];
}

/** All that is known about one JSON file. */
export interface FieldList<R extends ReadFields = ReadFields> {
  readonly file: string;
  /** The code of errors about it. */
  readonly code: "invalid_config" | "invalid_tokenizer";
  readonly read: R;
  readonly refused: readonly RefusedFields[];
  readonly ignored: readonly IgnoredFields[];
  /** What an unknown name says of itself: whether it must be refused. [default never] */
  readonly mustKnow?: (name: string, value: unknown) => boolean;
}

export type Json = Readonly<Record<string, unknown>>;

type ValueOf<F> = F extends ReadField<infer T> ? T : never;

/** Names with white space between them. */
export function words(names: string): readonly string[] {
  return names.trim().split(/\s+/);
}

/** The parts of a field that is an object, under their dotted names. */
export function partsOf<P extends string, R extends ReadFields>(parent: P, parts: R): { [K in keyof R as `${P}.${K & string}`]: R[K] } {
  const named = Object.entries(parts).map(([name, field]) => [`${parent}.${name}`, field]);
  return Object.fromEntries(named) as { [K in keyof R as `${P}.${K & string}`]: R[K] };
}

/** Reads the listed fields of one file, and no others. null counts as absent. */
export interface FieldReader<R extends ReadFields> {
  /** @throws {FathomError} naming the field and what was expected */
  optional<N extends keyof R & string>(name: N): ValueOf<R[N]> | undefined;
  required<N extends keyof R & string>(name: N): ValueOf<R[N]>;
  /** An error about a field: "config.json: n_embd: 0 is not ...". */
  bad(name: string, what: string): FathomError;
}

/** Opens a parsed file. @throws {FathomError} where it is no object, or holds a field or value that must be refused */
export function openFields<R extends ReadFields>(list: FieldList<R>, json: unknown): FieldReader<R> {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new FathomError(list.code, `${list.file} must hold one JSON object.`, list.file);
  const fields = json as Json;
  const bad = (name: string, what: string): FathomError =>
    new FathomError(list.code, `${list.file}: ${name}: ${what}${what.endsWith("?") ? "" : "."}`, name);
  refuseForeign(list, fields, bad);
  const optional = <N extends keyof R & string>(name: N): ValueOf<R[N]> | undefined => {
    const value = valueAt(fields, name, bad);
    if (value === undefined) return undefined;
    const { kind } = list.read[name]!;
    const parsed = kind.parse(value) as ValueOf<R[N]> | undefined;
    if (parsed === undefined) throw bad(name, `${excerpt(value)} is not ${kind.expected}`);
    return parsed;
  };
  return {
    optional,
    required(name) {
      const value = optional(name);
      if (value === undefined) throw bad(name, `missing; expected ${list.read[name]!.kind.expected}`);
      return value;
    },
    bad,
  };
}

/**
 * What an operator should hear about a file that was read without an error: names that nobody knows, and wishes that
 * are not followed. One sentence each.
 */
export function doubts(list: FieldList, json: unknown): string[] {
  if (typeof json !== "object" || json === null) return [];
  const known = topLevelNames(list);
  const fields = json as Json;
  const unknown = strangers(list, fields).map((name) => {
    const meant = nearest(name, [...known]);
    return `${list.file}: ${name} is not known and has no effect${meant === undefined ? "." : `; did you mean ${meant}?`}`;
  });
  const unmet = list.ignored.flatMap(({ names, silent }) =>
    silent === undefined
      ? []
      : names
          .filter((name) => !isNeutral(fields[name], silent))
          .map((name) => `${list.file}: ${name} ${excerpt(fields[name])} has no effect here.`),
  );
  return [...unknown, ...unmet];
}

/** Names at the top of a file that the list does not have; those with an underscore in front are their writer's own notes. */
function strangers(list: FieldList, json: Json): string[] {
  const known = topLevelNames(list);
  return Object.keys(json).filter((name) => !known.has(name) && !name.startsWith("_") && json[name] !== null);
}

function topLevelNames({ read, refused, ignored }: FieldList): ReadonlySet<string> {
  const names = [...Object.keys(read), ...[...refused, ...ignored].flatMap((group) => group.names)];
  return new Set(names.map((name) => name.split(".")[0]!));
}

function refuseForeign(list: FieldList, json: Json, bad: (name: string, what: string) => FathomError): void {
  for (const { names, neutral, note, except } of list.refused)
    for (const name of names) {
      const value = valueAt(json, name, bad);
      if (isNeutral(value, neutral) || except?.holds(json)) continue;
      const instead = neutral.length === 0 ? "leave it out" : `expected ${neutral.map((v) => JSON.stringify(v)).join(" or ")}`;
      throw bad(name, `${excerpt(value)} is not supported (${note}); ${instead}`);
    }
  const stranger = strangers(list, json).find((name) => list.mustKnow?.(name, json[name]));
  if (stranger === undefined) return;
  const meant = nearest(stranger, [...topLevelNames(list)]);
  throw bad(
    stranger,
    `no such field is known, and its name says that it changes what the model computes; ` +
      (meant === undefined ? "remove it if it does not" : `did you mean ${meant}?`),
  );
}

/** Follows a dotted name; undefined where any part is absent or null. */
function valueAt(json: Json, name: string, bad: (name: string, what: string) => FathomError): unknown {
  let value: unknown = json;
  const path = name.split(".");
  for (const [depth, part] of path.entries()) {
    if (typeof value !== "object" || Array.isArray(value)) throw bad(path.slice(0, depth).join("."), `${excerpt(value)} is not an object`);
    value = Object.hasOwn(value as Json, part) ? (value as Json)[part] : undefined;
    if (value === undefined || value === null) return undefined;
  }
  return value;
}

function isNeutral(value: unknown, neutral: readonly unknown[]): boolean {
  return value === undefined || value === null || neutral.some((n) => JSON.stringify(n) === JSON.stringify(value));
}

/** A value as messages show it. */
export function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

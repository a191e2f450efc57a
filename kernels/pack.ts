/**
 * Structs of the shaders as words for the device, by the names of their fields. A name that the shader does not have, one
 * that is left out and a number that its type cannot hold are errors that say which.
 */
import type { FieldLayout, Scalar, StructLayout, TypeLayout } from "./wgsl.ts";

/** A struct by its fields, a vector or an array by its elements. */
export type PackedValue = number | readonly PackedValue[] | StructValue;
export type StructValue = { readonly [field: string]: PackedValue };

/**
 * A whole struct, padding zero.
 * @throws {Error} naming the field that is unknown, missing or of another kind
 * @example
 * device.uniform(pack(declarationsOf(text).struct("Product"), { outputs: 64, columns: 32, ... }));
 */
export function pack(layout: StructLayout, value: StructValue): Uint32Array {
  const views = viewsOf(layout.size);
  writeStruct(layout, value, 0, views, layout.name);
  return views.u32;
}

interface Views {
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
}

function viewsOf(bytes: number): Views {
  const buffer = new ArrayBuffer(bytes);
  return { u32: new Uint32Array(buffer), i32: new Int32Array(buffer), f32: new Float32Array(buffer) };
}

function writeStruct({ name, fields }: StructLayout, value: StructValue, at: number, views: Views, where: string): void {
  for (const given of Object.keys(value)) if (!fields.some((field) => field.name === given)) throw unknownField(name, given, fields);
  for (const field of fields) {
    const own = value[field.name];
    if (own === undefined) throw new Error(`${where}.${field.name} is missing.`);
    write(field.type, own, at + field.offset, views, `${where}.${field.name}`);
  }
}

function unknownField(struct: string, name: string, fields: readonly FieldLayout[]): Error {
  return new Error(`The shader's struct ${struct} has no field ${name}; it has ${fields.map((field) => field.name).join(", ")}.`);
}

function write(type: TypeLayout, value: PackedValue, at: number, views: Views, where: string): void {
  if (type.kind === "scalar" && typeof value === "number") writeScalar(type.scalar, value, at, views, where);
  else if (type.kind === "struct" && isStruct(value)) writeStruct(type, value, at, views, where);
  else if ((type.kind === "vector" || type.kind === "array") && isList(value)) writeList(type, value, at, views, where);
  else throw new Error(`${where} is a ${type.kind}, and ${JSON.stringify(value)} is none.`);
}

function isList(value: PackedValue): value is readonly PackedValue[] {
  return Array.isArray(value);
}

function isStruct(value: PackedValue): value is StructValue {
  return typeof value === "object" && !Array.isArray(value);
}

function writeList(
  type: Extract<TypeLayout, { kind: "vector" | "array" }>,
  value: readonly PackedValue[],
  at: number,
  views: Views,
  where: string,
): void {
  if (type.length === undefined) throw new Error(`${where} has no length of its own; write it into the buffer behind the struct.`);
  if (value.length !== type.length) throw new Error(`${where} has ${type.length} elements, and ${value.length} are given.`);
  const element: TypeLayout = type.kind === "array" ? type.element : { kind: "scalar", scalar: type.scalar, size: 4, align: 4 };
  const stride = type.kind === "array" ? type.stride : 4;
  value.forEach((own, i) => write(element, own, at + i * stride, views, `${where}[${i}]`));
}

function writeScalar(scalar: Scalar, value: number, at: number, views: Views, where: string): void {
  views[scalar][at / 4] = value;
  const holds = scalar === "f32" ? !Number.isNaN(value) : views[scalar][at / 4] === value;
  if (!holds) throw new Error(`${where} is a ${scalar}, which cannot hold ${value}.`);
}

/** Some neighbouring fields of a struct, packed again and again: their places are looked up once. */
export interface FieldPacker<Name extends string> {
  /** Bytes from the struct's start. */
  readonly offset: number;
  readonly bytes: number;
  /** Words for the stretch from the first of the fields to the last. */
  pack(values: Readonly<Record<Name, number>>): Uint32Array;
}

/**
 * Makes a packer of scalar fields that together fill a stretch of a struct.
 * @throws {Error} naming a field that the struct does not have, or one in between that is not among them
 */
export function fieldPacker<Name extends string>({ name, fields }: StructLayout, names: readonly Name[]): FieldPacker<Name> {
  const places = names.map((wanted) => {
    const found = fields.find((field) => field.name === wanted);
    if (found === undefined) throw unknownField(name, wanted, fields);
    if (found.type.kind !== "scalar") throw new Error(`${name}.${wanted} is a ${found.type.kind}; only scalars are packed one by one.`);
    return { name: wanted, offset: found.offset, scalar: found.type.scalar };
  });
  const offset = Math.min(...places.map((place) => place.offset));
  const end = 4 + Math.max(...places.map((place) => place.offset));
  const between = fields.find((field) => field.offset > offset && field.offset < end && !(names as readonly string[]).includes(field.name));
  if (between !== undefined) throw new Error(`${name}.${between.name} lies between ${names.join(", ")}, and would be overwritten.`);
  return {
    offset,
    bytes: end - offset,
    pack(values) {
      const views = viewsOf(end - offset);
      for (const place of places) writeScalar(place.scalar, values[place.name], place.offset - offset, views, `${name}.${place.name}`);
      return views.u32;
    },
  };
}

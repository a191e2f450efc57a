/**
 * What a WGSL text declares: structs with every field's place in bytes, and constants, so that the host packs and reads
 * by the names that the shader gives and writes no offset of its own. Knows the types and the arithmetic that the shaders
 * here lay out memory with; not a WGSL compiler.
 */

/** Bytes from one element to the next, and what the address of one must divide by. */
interface Sized {
  readonly size: number;
  readonly align: number;
}

export interface ScalarLayout extends Sized {
  readonly kind: "scalar";
  readonly scalar: Scalar;
}

export interface VectorLayout extends Sized {
  readonly kind: "vector";
  readonly scalar: Scalar;
  readonly length: number;
}

export interface ArrayLayout extends Sized {
  readonly kind: "array";
  readonly element: TypeLayout;
  readonly stride: number;
  /** Elements; undefined where the buffer decides, and `size` is 0 then. */
  readonly length: number | undefined;
}

export interface StructLayout extends Sized {
  readonly kind: "struct";
  readonly name: string;
  readonly fields: readonly FieldLayout[];
}

export interface FieldLayout {
  readonly name: string;
  /** Bytes from the struct's start. */
  readonly offset: number;
  readonly type: TypeLayout;
}

export type Scalar = "u32" | "i32" | "f32";
export type TypeLayout = ScalarLayout | VectorLayout | ArrayLayout | StructLayout;

/** Declarations of a text; both throw an Error that names what is missing or not understood. */
export interface Declarations {
  readonly struct: (name: string) => StructLayout;
  /** The value of a whole-number constant. */
  readonly constant: (name: string) => number;
}

const STRUCT = /\bstruct\s+(\w+)\s*\{([^}]*)\}/g;
const CONSTANT = /\bconst\s+(\w+)\s*(?::\s*\w+\s*)?=\s*([^;]+);/g;
const FIELD = /^((?:@\w+(?:\([^)]*\))?\s*)*)(\w+)\s*:\s*(.+)$/s;

/**
 * Reads the declarations of a text with its includes resolved. Each is looked at when it is first asked for, so a text may
 * hold whatever else WGSL has.
 */
export function declarationsOf(text: string): Declarations {
  const bare = text.replace(/\/\*[^]*?\*\//g, " ").replace(/\/\/.*$/gm, "");
  const structs = new Map([...bare.matchAll(STRUCT)].map(([, name, body]) => [name!, body!]));
  const constants = new Map([...bare.matchAll(CONSTANT)].map(([, name, value]) => [name!, value!]));
  const known = new Map<string, StructLayout>();
  const reader: Declarations = {
    struct(name) {
      const found = known.get(name);
      if (found !== undefined) return found;
      const body = structs.get(name);
      if (body === undefined) throw new Error(`The shader declares no struct ${name}; it has ${listed(structs)}.`);
      const layout = structLayout(name, body, reader);
      known.set(name, layout);
      return layout;
    },
    constant(name) {
      const value = constants.get(name);
      if (value === undefined) throw new Error(`The shader declares no constant ${name}; it has ${listed(constants)}.`);
      return evaluate(value, reader);
    },
  };
  return reader;
}

function listed(names: ReadonlyMap<string, string>): string {
  return [...names.keys()].join(", ") || "none";
}

/** Places fields as WGSL does: each at the next multiple of its alignment, the whole padded to the largest one. */
function structLayout(name: string, body: string, reader: Declarations): StructLayout {
  const fields: FieldLayout[] = [];
  let [end, largest] = [0, 1];
  for (const declaration of splitOutside(body)) {
    const [, attributes, field, typeName] = FIELD.exec(declaration) ?? [];
    if (field === undefined) throw new Error(`Struct ${name}: "${declaration}" is no field.`);
    const type = typeLayout(typeName!.trim(), reader);
    const align = attribute(attributes!, "align", reader) ?? type.align;
    const offset = roundUp(end, align);
    end = offset + (attribute(attributes!, "size", reader) ?? type.size);
    largest = Math.max(largest, align);
    fields.push({ name: field, offset, type });
  }
  return { kind: "struct", name, fields, align: largest, size: roundUp(end, largest) };
}

function attribute(attributes: string, name: string, reader: Declarations): number | undefined {
  const value = new RegExp(`@${name}\\(([^)]*)\\)`).exec(attributes)?.[1];
  return value === undefined ? undefined : evaluate(value, reader);
}

const SCALARS: ReadonlySet<string> = new Set<Scalar>(["u32", "i32", "f32"]);
const SHORT: Readonly<Record<string, Scalar>> = { u: "u32", i: "i32", f: "f32" };

/** A type by the rules of WGSL's "Alignment and Size"; those that no shader here keeps in memory are refused. */
function typeLayout(type: string, reader: Declarations): TypeLayout {
  if (SCALARS.has(type)) return { kind: "scalar", scalar: type as Scalar, size: 4, align: 4 };
  const [, generic, inner] = /^(\w+)\s*<(.*)>$/s.exec(type) ?? [];
  if (generic === "atomic") return typeLayout(inner!.trim(), reader);
  if (generic === "array") return arrayLayout(inner!, reader);
  const [, length, short] = /^vec([234])([uif]?)$/.exec(generic ?? type) ?? [];
  const scalar = generic === undefined ? SHORT[short ?? ""] : inner!.trim();
  if (length !== undefined && scalar !== undefined && SCALARS.has(scalar))
    return { kind: "vector", scalar: scalar as Scalar, length: Number(length), size: 4 * Number(length), align: length === "2" ? 8 : 16 };
  if (generic !== undefined || !/^[A-Z]/.test(type)) throw new Error(`The host cannot lay out the shader's type ${type}.`);
  return reader.struct(type);
}

function arrayLayout(inner: string, reader: Declarations): ArrayLayout {
  const [elementName, count] = splitOutside(inner);
  const element = typeLayout(elementName!, reader);
  const length = count === undefined ? undefined : evaluate(count, reader);
  const stride = roundUp(element.size, element.align);
  return { kind: "array", element, stride, length, size: stride * (length ?? 0), align: element.align };
}

/**
 * Refuses what WGSL forbids in uniform buffers: arrays whose elements do not lie on 16 bytes, and structs or arrays in a
 * struct that do not. @throws {Error} naming the field
 */
export function checkUniform(type: TypeLayout, where: string): void {
  if (type.kind === "array") {
    if (type.stride % 16 !== 0) throw new Error(`${where}: elements of ${type.stride} bytes; in a uniform buffer they lie on 16.`);
    checkUniform(type.element, `${where}[]`);
  }
  if (type.kind !== "struct") return;
  type.fields.forEach((field, i) => {
    const name = `${where}.${field.name}`;
    const next = type.fields[i + 1];
    const isWhole = field.type.kind === "array" || field.type.kind === "struct";
    if (isWhole && field.offset % 16 !== 0) throw new Error(`${name} lies at ${field.offset}; in a uniform buffer it lies on 16 bytes.`);
    if (field.type.kind === "struct" && next !== undefined && next.offset - field.offset < roundUp(field.type.size, 16))
      throw new Error(`${name}: what follows in a uniform buffer starts on 16 bytes, and ${next.name} lies at ${next.offset}.`);
    checkUniform(field.type, name);
  });
}

/** A whole-number constant expression: numbers, names, + - * / % and parentheses. */
function evaluate(expression: string, reader: Declarations): number {
  const tokens = expression.match(/0[xX][0-9a-fA-F]+[ui]?|\d+[ui]?|[A-Za-z_]\w*|\S/g) ?? [];
  let at = 0;
  const refuse = (): never => {
    throw new Error(`The host cannot evaluate the shader's "${expression.trim()}": whole numbers, names, + - * / % and brackets only.`);
  };
  const operand = (): number => {
    const token = tokens[at++];
    if (token === undefined) return refuse();
    if (token === "(") {
      const value = sum();
      return tokens[at++] === ")" ? value : refuse();
    }
    if (/^\d/.test(token)) return Number(token.replace(/[ui]$/, ""));
    return /^[A-Za-z_]/.test(token) && tokens[at] !== "(" ? reader.constant(token) : refuse();
  };
  const product = (): number => {
    let value = operand();
    for (let sign = tokens[at]; sign === "*" || sign === "/" || sign === "%"; sign = tokens[at]) {
      at++;
      const right = operand();
      value = sign === "*" ? value * right : sign === "/" ? Math.trunc(value / right) : value % right;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    for (let sign = tokens[at]; sign === "+" || sign === "-"; sign = tokens[at]) {
      at++;
      value += sign === "+" ? product() : -product();
    }
    return value;
  };
  const value = sum();
  return at === tokens.length ? value : refuse();
}

/** Parts between commas that stand in no brackets; empty ones are left out. */
function splitOutside(list: string): string[] {
  const parts: string[] = [];
  let [depth, from] = [0, 0];
  for (let i = 0; i <= list.length; i++) {
    if ("<(".includes(list[i] ?? " ")) depth++;
    if (">)".includes(list[i] ?? " ")) depth--;
    if (i < list.length && (list[i] !== "," || depth > 0)) continue;
    parts.push(list.slice(from, i).trim());
    from = i + 1;
  }
  return parts.filter((part) => part !== "");
}

function roundUp(bytes: number, align: number): number {
  return Math.ceil(bytes / align) * align;
}

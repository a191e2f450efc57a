/**
 * A build of the kernels over shared memory: the same code, but for one line of its import section, which says what kind
 * of memory it takes. So hosts with threads need no builds of their own.
 */

const IMPORT_SECTION = 2;
const HEADER_BYTES = 8;
/** Kinds of imports: function, table, memory, global. */
const MEMORY = 2;
/** Limits of a memory that is shared, which must name its most pages: 65536, as LEB128. */
const SHARED_WITH_MAXIMUM = 3;
const MOST_PAGES = [0x80, 0x80, 0x04];

/** @throws {RangeError} where the bytes are not a module whose only import is a memory */
export function overSharedMemory(module: Uint8Array): Uint8Array<ArrayBuffer> {
  for (let at = HEADER_BYTES; at < module.length;) {
    const id = module[at]!;
    const size = readLeb(module, at + 1);
    const end = size.next + size.value;
    if (id === IMPORT_SECTION) return joined(module.subarray(0, at), sharedImports(module.subarray(size.next, end)), module.subarray(end));
    at = end;
  }
  throw new RangeError("the module imports nothing");
}

function sharedImports(section: Uint8Array): Uint8Array {
  const count = readLeb(section, 0);
  const room = readLeb(section, count.next);
  const name = readLeb(section, room.next + room.value);
  const kind = name.next + name.value;
  if (count.value !== 1 || section[kind] !== MEMORY) throw new RangeError("the module imports something other than one memory");
  const pages = readLeb(section, kind + 2);
  const body = [...section.subarray(0, kind + 1), SHARED_WITH_MAXIMUM, ...section.subarray(kind + 2, pages.next), ...MOST_PAGES];
  return Uint8Array.from([IMPORT_SECTION, ...leb(body.length), ...body]);
}

function readLeb(bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

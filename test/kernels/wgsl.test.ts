/**
 * Reading structs and constants from WGSL text, and packing by their names. Offsets are those of the WGSL specification
 * ("Alignment and Size", "Structure Member Layout").
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ROW } from "../../kernels/layout.ts";
import { fieldPacker, pack } from "../../kernels/pack.ts";
import { declarationsIn, paramsOf } from "../../kernels/shader.ts";
import { checkUniform, declarationsOf, type StructLayout } from "../../kernels/wgsl.ts";

function layoutOf(body: string, more = ""): StructLayout {
  return declarationsOf(`${more}\nstruct S { ${body} }`).struct("S");
}

/** "name@offset" of every field, and the struct's size and alignment. */
function described({ fields, size, align }: StructLayout): string {
  return [...fields.map(({ name, offset }) => `${name}@${offset}`), `size ${size}`, `align ${align}`].join(" ");
}

describe("declarationsOf", () => {
  it.each([
    ["scalars follow each other", "a: u32, b: f32, c: i32,", "a@0 b@4 c@8 size 12 align 4"],
    ["a vec2 lies on 8 bytes", "a: u32, b: vec2<f32>, c: u32", "a@0 b@8 c@16 size 24 align 8"],
    ["a vec3 lies on 16 bytes and takes 12", "a: f32, b: vec3<f32>, c: f32", "a@0 b@16 c@28 size 32 align 16"],
    ["short names are the same types", "a: vec3u, b: i32, c: vec4f", "a@0 b@12 c@16 size 32 align 16"],
    ["atomics lie as what they hold", "a: u32, b: atomic<u32>, c: atomic<i32>", "a@0 b@4 c@8 size 12 align 4"],
    ["an array of scalars has no gaps", "a: f32, b: array<f32, 3>, c: f32", "a@0 b@4 c@16 size 20 align 4"],
    ["an array of vec3 has gaps of 4 bytes", "a: f32, b: array<vec3<f32>, 2>, c: f32", "a@0 b@16 c@48 size 64 align 16"],
    ["a runtime array is the last, and has no size", "a: u32, b: array<vec2<u32>>", "a@0 b@8 size 8 align 8"],
    ["attributes move what follows", "@size(16) a: u32, @align(32) b: u32, c: u32", "a@0 b@32 c@36 size 64 align 32"],
  ])("%s", (_, body, expected) => {
    expect(described(layoutOf(body))).toBe(expected);
  });

  it("lays out the specification's example of nested structs", () => {
    const a = "struct A { u: f32, v: f32, w: vec2<f32>, x: f32 }";
    const b = "struct B { a: vec2<f32>, b: vec3<f32>, c: f32, d: f32, @align(16) e: A, f: vec3<f32>, @align(16) g: array<A, 3>, h: i32 }";
    const { struct } = declarationsOf(`${a} ${b}`);
    expect(described(struct("A"))).toBe("u@0 v@4 w@8 x@16 size 24 align 8");
    expect(described(struct("B"))).toBe("a@0 b@16 c@28 d@32 e@48 f@80 g@96 h@168 size 176 align 16");
  });

  it("reads past comments, and constants through arithmetic", () => {
    const { constant, struct } = declarationsOf(`
      const WIDTH = 64u; // not const WIDTH = 7u;
      /* const WIDTH = 9u; */
      const LAYERS: u32 = 4u * (2u + 1u) - 0x0Au;
      struct S {
        a: u32, // a: f32, b: u32
        b: array<f32, WIDTH / 3u % 16u>,
      }`);
    expect([constant("WIDTH"), constant("LAYERS")]).toEqual([64, 2]);
    expect(described(struct("S"))).toBe("a@0 b@4 size 24 align 4");
  });

  it("says what is missing, or not understood", () => {
    const { constant, struct } = declarationsOf("const A = 1u; const B = max(A, 2u); struct S { a: u32 } struct T { a: mat4x4<f32> }");
    expect(() => constant("C")).toThrow("declares no constant C; it has A, B");
    expect(() => constant("B")).toThrow('cannot evaluate the shader\'s "max(A, 2u)"');
    expect(() => struct("U")).toThrow("declares no struct U; it has S, T");
    expect(() => struct("T")).toThrow("cannot lay out the shader's type mat4x4<f32>");
  });
});

describe("checkUniform", () => {
  const check = (body: string, more = "") => checkUniform(layoutOf(body, more), "S");
  const inner = "struct I { a: f32 }";

  it("takes what WGSL allows", () => {
    check("a: f32, b: vec4<f32>, c: array<vec4<f32>, 2>");
    check("@align(16) a: I, @align(16) b: f32", inner);
  });

  it("names what WGSL refuses", () => {
    expect(() => check("a: array<f32, 4>")).toThrow("S.a: elements of 4 bytes");
    expect(() => check("a: f32, b: I", inner)).toThrow("S.b lies at 4");
    expect(() => check("@align(16) a: I, b: f32", inner)).toThrow("S.a: what follows");
    expect(() => paramsOf("@group(0) @binding(0) var<uniform> p: S; struct S { a: array<u32, 8> }")).toThrow("S.a: elements of 4 bytes");
  });
});

describe("pack", () => {
  const layout = layoutOf("a: u32, b: vec3<f32>, c: i32, d: array<I, 2>", "struct I { x: f32, @size(12) y: u32 }");

  it("puts every value in its place, and zeros between", () => {
    const words = pack(layout, {
      d: [
        { y: 7, x: 0.5 },
        { x: 2, y: 8 },
      ],
      c: -3,
      b: [1, 2, 3],
      a: 0xffffffff,
    });
    const floats = new Float32Array(words.buffer);
    expect([...words]).toEqual([0xffffffff, 0, 0, 0, ...[1, 2, 3].map(bits), 0xfffffffd, bits(0.5), 7, 0, 0, bits(2), 8, 0, 0]);
    expect([floats[4], floats[5], floats[6]]).toEqual([1, 2, 3]);
  });

  it.each([
    ["an unknown name", { e: 1 }, "struct S has no field e; it has a, b, c, d"],
    ["a number too large", { a: 2 ** 32 }, "S.a is a u32, which cannot hold 4294967296"],
    ["a number below zero", { a: -1 }, "S.a is a u32, which cannot hold -1"],
    ["a fraction", { c: 0.5 }, "S.c is a i32, which cannot hold 0.5"],
    ["no number", { b: [1, NaN, 3] }, "S.b[1] is a f32, which cannot hold NaN"],
    ["too few elements", { b: [1, 2] }, "S.b has 3 elements, and 2 are given"],
    ["a number in the place of a list", { d: 1 }, "S.d is a array, and 1 is none"],
    ["a missing name in a nested struct", { d: [{ x: 1, y: 1 }, { x: 1 }] }, "S.d[1].y is missing"],
  ])("refuses %s", (_, change, message) => {
    const whole = {
      a: 1,
      b: [1, 2, 3],
      c: 1,
      d: [
        { x: 1, y: 1 },
        { x: 1, y: 1 },
      ],
    };
    expect(() => pack(layout, { ...whole, ...change })).toThrow(message);
  });

  it("refuses a value that is left out", () => {
    expect(() => pack(layout, { a: 1, b: [1, 2, 3], c: 1 })).toThrow("S.d is missing");
  });

  it("reads back what it was given, whatever the order and the types of fields", () => {
    const field = fc.record({ type: fc.constantFrom("u32", "f32", "i32"), value: fc.nat(1000) });
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 12 }), (fields) => {
        const own = layoutOf(fields.map(({ type }, i) => `f${i}: ${type}`).join(", "));
        const { buffer } = pack(own, Object.fromEntries(fields.map(({ value }, i) => [`f${i}`, value])));
        const view = new DataView(buffer);
        own.fields.forEach(({ offset }, i) => {
          const { type, value } = fields[i]!;
          expect(type === "f32" ? view.getFloat32(offset, true) : view.getUint32(offset, true)).toBe(value);
        });
      }),
    );
  });
});

describe("fieldPacker", () => {
  const layout = layoutOf("a: u32, b: f32, c: u32, d: vec2<f32>, e: u32");

  it("packs a stretch, in whatever order the names come", () => {
    const packer = fieldPacker(layout, ["c", "b"]);
    expect([packer.offset, packer.bytes]).toEqual([4, 8]);
    expect([...packer.pack({ b: 0.5, c: 9 })]).toEqual([bits(0.5), 9]);
  });

  it("refuses names that the shader does not have, gaps and vectors when it is made", () => {
    expect(() => fieldPacker(layout, ["a", "x"])).toThrow("struct S has no field x; it has a, b, c, d, e");
    expect(() => fieldPacker(layout, ["a", "c"])).toThrow("S.b lies between a, c");
    expect(() => fieldPacker(layout, ["c", "d"])).toThrow("S.d is a vector");
  });
});

describe("the shaders' own structs", () => {
  const rows = (change: (text: string) => string): StructLayout => {
    const body = ROW.fields.map(({ name, type }) => `${name}: ${type.kind === "scalar" ? type.scalar : "?"}`).join(", ");
    return layoutOf(change(body));
  };

  it("are packed by the names that the text has: a renamed field is refused", () => {
    expect(() =>
      fieldPacker(
        rows((text) => text),
        ["position", "token"],
      ),
    ).not.toThrow();
    expect(() =>
      fieldPacker(
        rows((text) => text.replace("token:", "word:")),
        ["position", "token"],
      ),
    ).toThrow("has no field token");
  });

  it("have sizes that an array of them needs", () => {
    expect(described(ROW)).toContain("size 104 align 4");
    expect(declarationsIn("parts/product").struct("Product").size % 16).toBe(0);
    const fused = declarationsIn("fused_core_q4", { THREADS: 64, CORE_LAYERS: 3, ROWS: 1 }).struct("FusedCore");
    expect(() => checkUniform(fused, "FusedCore")).not.toThrow();
    expect(described(fused)).toBe("adapter@0 products@96 attends@1248 end@1344 size 1392 align 4");
  });
});

function bits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

/**
 * A build of the kernels that does not belong to this host is refused when it is bound, and the export named: called all
 * the same, wasm would take missing arguments as 0, and fields of records would lie elsewhere.
 */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { Arena } from "../../wasm/arena.ts";
import { quantiseKernels } from "../../wasm/convert.ts";
import { bindKernels } from "../../wasm/kernels.ts";

const read = async (build: string): Promise<Buffer<ArrayBuffer>> => readFile(new URL(`../../wasm/build/${build}.wasm`, import.meta.url));
const [simd, relaxed, convert] = await Promise.all([read("simd"), read("relaxed"), read("convert")]);

/** The module with exports called otherwise; names of equal length, so that nothing else moves. */
function renamed(bytes: Buffer<ArrayBuffer>, ...names: readonly (readonly [from: string, to: string])[]): WebAssembly.Module {
  const copy = Buffer.from(bytes);
  for (const [from, to] of names) {
    const entry = Buffer.from([from.length, ...Buffer.from(from)]);
    const at = bytes.lastIndexOf(entry); // exports follow names of imports
    if (at < 0 || from.length !== to.length) throw new Error(`cannot call ${from} ${to}`);
    copy.write(to, at + 1);
  }
  return new WebAssembly.Module(copy);
}

const bind = (module: WebAssembly.Module) => () => bindKernels(module, new Arena(1 << 20));
const exportsOf = (bytes: Buffer<ArrayBuffer>): string[] =>
  WebAssembly.Module.exports(new WebAssembly.Module(bytes)).flatMap(({ name, kind }) => (kind === "memory" ? [] : name));

describe("bindKernels", () => {
  it("takes the builds as they are", () => {
    expect(bind(renamed(simd))).not.toThrow();
    expect(exportsOf(simd)).toContain("Block_scaleOffset");
  });

  it("refuses a kernel of another arity by name", () => {
    const swapped = renamed(simd, ["addRows", "embedQ8"], ["embedQ8", "addRows"]);
    expect(bind(swapped)).toThrow(
      expect.objectContaining({ code: "unavailable", message: expect.stringContaining("addRows of 4 arguments, which is called with 5") }),
    );
  });

  it.each(exportsOf(simd))("refuses a build without %s", (name) => {
    expect(bind(renamed(simd, [name, name.replace(/.$/, "~")]))).toThrow(
      expect.objectContaining({ code: "unavailable", message: expect.stringMatching(new RegExp(`\\b${name.slice(0, -1)}`)) }),
    );
  });

  it("refuses a field that this host would not write", () => {
    expect(bind(renamed(simd, ["heapBase", "Row_more"]))).toThrow(/heapBase/);
    expect(bind(renamed(simd, ["Row_x", "Row_y"]))).toThrow("has a field Row_y that this host does not write");
  });

  it("looks at what the relaxed build has besides, too", () => {
    const only = exportsOf(relaxed).filter((name) => !exportsOf(simd).includes(name) && name !== "probeDot");
    expect(only).toHaveLength(7);
    for (const name of only) expect(bind(renamed(relaxed, [name, name.replace(/.$/, "~")]))).toThrow(`has no export ${name}`);
  });
});

describe("the quantiser's kernels", () => {
  it("refuses a build without one of its kernels", () => {
    expect(() => quantiseKernels(renamed(convert, ["quantise_q4", "quantise_q5"]), new WebAssembly.Memory({ initial: 1 }))).toThrow(
      "has no export quantise_q4",
    );
  });
});

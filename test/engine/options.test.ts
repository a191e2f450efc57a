/**
 * Options of factories below the Worker: named, typed, read once; the nearest right name is suggested.
 */
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../engine/model/config.ts";
import { ceiling, checkOptions, named, positive, record } from "../../engine/options.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createWasmBackend } from "../../wasm/create.ts";
import { createNodeWasmBackend, readWasmModule } from "../../wasm/node.ts";
import { memoryFolder, TINY_CONFIG } from "./files.ts";

const schema = named({
  depth: v.exactOptional(ceiling(1)),
  inner: v.exactOptional(named({ costUsd: v.exactOptional(positive()) })),
  byName: v.exactOptional(record(v.number("a number"))),
});
const check = (options: unknown) => checkOptions("make", schema, options);

describe("options", () => {
  it("are copied, less those that are undefined", () => {
    expect(check({ depth: 4, inner: undefined })).toEqual({ depth: 4 });
    expect(check({ depth: Infinity, inner: { costUsd: 1 }, byName: { a: 1 } })).toEqual({
      depth: Infinity,
      inner: { costUsd: 1 },
      byName: { a: 1 },
    });
  });

  it("are asked for once each, getters among them", () => {
    let reads = 0;
    const options = {
      get depth() {
        return ++reads;
      },
    };
    expect(check(options)).toEqual({ depth: 1 });
  });

  it.each([
    [{ Depth: 4 }, "make: Depth is no option (did you mean depth?)."],
    [{ cost_usd: 4 }, "make: cost_usd is no option (did you mean inner.costUsd?)."],
    [{ inner: { cost_usd: 4 } }, "make: inner.cost_usd is no option (did you mean inner.costUsd?)."],
    [{ nonsense: 4 }, "make: nonsense is no option (there are depth, inner, byName)."],
    [{ depth: "4" }, 'make: depth must be a whole number of at least 1, or Infinity, not "4".'],
    [{ depth: 4n }, "make: depth must be a whole number of at least 1, or Infinity, not 4."],
    [{ depth: 1.5 }, "make: depth must be a whole number of at least 1, or Infinity, not 1.5."],
    [{ inner: [] }, "make: inner must be an object, not a list."],
    [{ inner: async () => {} }, "make: inner must be an object, not a function."],
    [{ byName: { a: "1" } }, 'make: byName.a must be a number, not "1".'],
    [{ byName: JSON.parse('{"constructor":1}') }, "make: byName.constructor is not a name to choose."],
    [
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error("closed");
          },
        },
      ),
      "make: what it was given cannot be read: closed.",
    ],
    [
      {
        get inner() {
          throw "a text";
        },
      },
      'make: inner cannot be read: "a text".',
    ],
  ])("that are wrong are refused by name: %#", (options, message) => {
    // prettier-ignore
    expect(() => check(options)).toThrow(new TypeError(message));
  });

  it("end where an object's prototypes do not", () => {
    const endless: object = new Proxy({}, { getPrototypeOf: () => endless });
    expect(check(endless)).toEqual({});
  });
});

describe("the Wasm backend's options", () => {
  const config = parseConfig(TINY_CONFIG);
  const load = async (): Promise<void> => expect.unreachable("weights were asked for");

  it.each([
    [{ limitBytes: "67108864" }, /limitBytes must be/],
    [{ limitBytes: NaN }, /limitBytes must be/],
    [{ limitBytes: -1 }, /limitBytes must be/],
    [{ limit_bytes: 1e8 }, /limit_bytes is no option \(did you mean limitBytes\?\)/],
    [{ kv: "f16" }, /kv must be one of f32, int8/],
    [{ path: "avx" }, /path must be one of/],
    [{ bounds: true }, /bounds must be one of/],
    [{ warm: "no" }, /warm must be true or false/],
  ])("are checked before any memory is taken: %j", async (options, words) => {
    const module = await readWasmModule();
    const made = createWasmBackend({ module, config, load, ...(options as object) });
    await expect(made).rejects.toThrow(TypeError);
    await expect(createNodeWasmBackend(config, load, options as object)).rejects.toThrow(words);
  });

  it("need a module, a config and a function", async () => {
    const module = await readWasmModule();
    for (const [options, words] of [
      [{ module: new Uint8Array(8), config, load }, /module must be a compiled/],
      [{ module, config: undefined, load }, /config is missing/],
      [{ module, config: { model_type: "huginn_raven" }, load }, /config must be/],
      [{ module, config, load: load().catch(() => undefined) }, /load must be a function, not a Promise/],
      [undefined, /not undefined/],
    ] as const)
      // prettier-ignore
      await expect(createWasmBackend(options as never)).rejects.toThrow(words);
  });
});

describe("loadModel", () => {
  const folder = memoryFolder({});

  it.each([
    [[undefined, createReferenceBackend], /folder is missing/],
    [["nano", createReferenceBackend], /folder must be a model folder/],
    [[{ name: "nano" }, createReferenceBackend], /folder must be a model folder/],
    [[Promise.resolve(folder), createReferenceBackend], /not a Promise/],
    [[folder, undefined], /createBackend is missing/],
    [[folder, { createReferenceBackend }], /createBackend must be a function/],
  ])("says which of its two arguments is wrong: %#", async (given, words) => {
    const loading = (loadModel as (...args: unknown[]) => Promise<unknown>)(...given);
    await expect(loading).rejects.toThrow(TypeError);
    await expect((loadModel as (...args: unknown[]) => Promise<unknown>)(...given)).rejects.toThrow(words);
  });
});

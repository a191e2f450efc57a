/**
 * fathom export, and the folders it writes: the same answers as the checkpoint, and named errors for what is no such folder.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportOnnx } from "../../cli/export.ts";
import { diskFolder } from "../../cli/files.ts";
import { loadNodeModel } from "../../cli/models.ts";
import { layoutOf } from "../../engine/model/families/index.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createNodeOnnxBackend, openNodeOnnxFolder } from "../../onnx/node.ts";
import { memoryFolder, safetensors, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { expectClose, expectSame } from "../wasm/compare.ts";
import { greedy, NANO, nanoF32, nanoPrompts } from "./models.ts";

const folder = mkdtempSync(join(tmpdir(), "fathom-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

describe("fathom export", () => {
  it("writes a folder that answers as the model does, with its tokenizer and card", async () => {
    const { files } = await exportOnnx("nano", at("nano"), "f32");
    expect(files.map((file) => file.name)).toEqual(["prelude.onnx", "core.onnx", "coda.onnx"]);
    const model = await loadModel(diskFolder(at("nano")), () => openNodeOnnxFolder(diskFolder(at("nano"))));
    expect(model.card.id).toBe("nano");
    const { config, load } = await nanoF32();
    const direct = await createNodeOnnxBackend(config, load);
    const [prompt] = await nanoPrompts(config, 1);
    const [actual, expected] = [await greedy(model.backend, prompt!, 8, 4), await greedy(direct, prompt!, 8, 4)];
    expect(actual.tokens).toEqual(expected.tokens);
    actual.logits.forEach((logits, i) => expectSame(logits, expected.logits[i]!));
    await direct.close();
  });

  it("writes a folder that the command line runs, and no other backend takes for a checkpoint", async () => {
    await exportOnnx("nano", at("nano-cli"), "f32");
    const { text, card, backend } = await loadNodeModel(at("nano-cli"), "onnx");
    const prompt = text.encodeChat([{ role: "user", content: "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?" }]);
    expect(text.decode((await greedy(backend, prompt, card.iterations, 1)).tokens).trim()).toBe("5");
    for (const other of ["wasm", "reference"] as const)
      await expect(loadNodeModel(at("nano-cli"), other)).rejects.toThrow(/holds ONNX graphs.*--backend onnx/);
  });

  it("writes int8 graphs of a third of the size that answer nearly the same", async () => {
    const { files } = await exportOnnx("nano", at("nano-int8"), "int8");
    const whole = ["prelude.onnx", "core.onnx", "coda.onnx"].reduce((sum, name) => sum + readFileSync(join(at("nano"), name)).length, 0);
    expect(files.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThan(whole * 0.42);
    const [f32, int8] = [await openNodeOnnxFolder(diskFolder(at("nano"))), await openNodeOnnxFolder(diskFolder(at("nano-int8")))];
    const [prompt] = await nanoPrompts(f32.config, 1);
    const [a, b] = [await greedy(f32, prompt!, 8, 1), await greedy(int8, prompt!, 8, 1)];
    expectClose(b.logits[0]!, a.logits[0]!, 0.1);
    await f32.close();
    await int8.close();
  });

  it("keeps the block's layout, which config.json does not tell", async () => {
    const sibling = {
      ...TINY_CONFIG,
      num_key_value_heads: 1,
      qk_bias: false,
      tie_embeddings: false,
      rope_theta: 10000,
      init_values: { embed_scale: 1 },
    };
    const source = at("sibling");
    writeSibling(source, sibling);
    await exportOnnx(source, at("sibling-onnx"), "f32");
    const backend = await openNodeOnnxFolder(diskFolder(at("sibling-onnx")));
    expect(backend.config).toMatchObject(layoutOf("retrofitted-llama"));
    await backend.close();
  });

  it("leaves nothing behind where it fails, and what was there as it was", async () => {
    writeFileSync(at("file"), "here before");
    await expect(exportOnnx("nano", at("file"), "f32")).rejects.toThrow(/is a file/);
    await expect(exportOnnx(folder, at("nothing"), "f32")).rejects.toThrow(/No model/);
    expect(readFileSync(at("file"), "utf8")).toBe("here before");
    expect(readdirSync(folder).filter((name) => name.includes("partial") || name === "nothing")).toEqual([]);
  });
});

/** A retrofitted checkpoint's names: two norms a block, no tied head. */
function writeSibling(path: string, config: object): void {
  mkdirSync(path);
  writeFileSync(join(path, "config.json"), JSON.stringify(config));
  writeFileSync(join(path, "model.safetensors"), preNormCheckpoint(config));
}

function preNormCheckpoint(config: object): Uint8Array {
  const whole = tinyCheckpoint(config);
  const length = Number(new DataView(whole.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(whole.subarray(8, 8 + length))) as Record<string, { data_offsets: [number, number] }>;
  const entries: Record<string, unknown> = {};
  const data: number[] = [];
  for (const [name, info] of Object.entries(header)) {
    if (/norm_[34]/.test(name)) continue;
    const bytes = whole.subarray(8 + length + info.data_offsets[0], 8 + length + info.data_offsets[1]);
    entries[name] = { ...info, data_offsets: [data.length, data.length + bytes.length] };
    data.push(...bytes);
  }
  return safetensors(entries, Uint8Array.from(data));
}

describe("a folder that is not one of fathom export", () => {
  const files: Record<string, string | Uint8Array> = {};
  beforeAll(() => {
    for (const name of readdirSync(at("nano")))
      files[name] = name.endsWith(".onnx")
        ? new Uint8Array(readFileSync(join(at("nano"), name)))
        : readFileSync(join(at("nano"), name), "utf8");
  });
  const core = (): Uint8Array => files["core.onnx"] as Uint8Array;
  const config = (change: object): string => JSON.stringify({ ...(JSON.parse(files["config.json"] as string) as object), ...change });

  it.each<[what: string, edit: () => Record<string, string | Uint8Array | undefined>, message: RegExp]>([
    ["a file cut in half", () => ({ "core.onnx": core().slice(0, core().length >> 1) }), /core\.onnx: onnxruntime-web cannot load it/],
    ["a file short of ten bytes", () => ({ "core.onnx": core().slice(0, -10) }), /core\.onnx: onnxruntime-web cannot load it/],
    ["an empty file", () => ({ "core.onnx": new Uint8Array() }), /core\.onnx: onnxruntime-web cannot load it/],
    [
      "a file of another kind",
      () => ({ "coda.onnx": new TextEncoder().encode("not a graph at all") }),
      /coda\.onnx: onnxruntime-web cannot load it/,
    ],
    ["another graph", () => ({ "core.onnx": files["coda.onnx"] as Uint8Array }), /core\.onnx: embedded: missing; expected input float32/],
    [
      "a config of another width",
      () => ({ "config.json": config({ n_embd: 64, head_dim: 16 }) }),
      /prelude\.onnx: past_key_0: float32 \[past_0, 128\]; expected/,
    ],
    ["a config of more layers", () => ({ "config.json": config({ n_layers_in_coda: 3 }) }), /coda\.onnx: past_key_1: missing/],
    ["no core", () => ({ "core.onnx": undefined }), /has no core\.onnx/],
    ["no note", () => ({ "onnx.json": undefined }), /has no onnx\.json/],
    ["a note of something else", () => ({ "onnx.json": "[]" }), /onnx\.json holds \[\]/],
  ])("%s is a named error", async (_, edit, message) => {
    const edited = Object.fromEntries(
      Object.entries({ ...files, ...edit() }).filter(([, content]) => content !== undefined),
    ) as typeof files;
    await expect(openNodeOnnxFolder(memoryFolder(edited))).rejects.toThrow(
      expect.objectContaining({ code: "invalid_checkpoint", message: expect.stringMatching(message) }),
    );
  });

  it("flipped bits in a graph's structure are named errors or change nothing that the signature promises", async () => {
    for (let bit = 0; bit < 24; bit++) {
      const bytes = core().slice();
      bytes[40 + bit * 131]! ^= 1 << (bit % 8);
      await openNodeOnnxFolder(memoryFolder({ ...files, "core.onnx": bytes })).then(
        (backend) => backend.close(),
        (error: { code?: string }) => expect(error.code).toBe("invalid_checkpoint"),
      );
    }
  });

  it("but the shipped model's own folder is not mistaken for one", async () => {
    await expect(openNodeOnnxFolder(NANO)).rejects.toThrow(/make the folder with fathom export/);
  });
});

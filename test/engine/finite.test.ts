/**
 * Weights that are not finite are refused while they are read, by tensor and place, in every format and however the file
 * is cut into chunks.
 */
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../engine/model/config.ts";
import { convertingSink, planConversion, type TargetFormat } from "../../engine/model/convert.ts";
import { readCheckpoint } from "../../engine/model/checkpoint.ts";
import { readWeights } from "../../engine/model/folder.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { memoryFolder, source, TINY_CONFIG, tinyCheckpoint, type FloatDtype } from "./files.ts";

const config = parseConfig(TINY_CONFIG);
const NAME = "transformer.core_block.0.mlp.fc.weight";

/** Where a tensor's bytes begin in a file. */
function beginOf(file: Uint8Array, name = NAME): number {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<string, { data_offsets: number[] }>;
  return 8 + length + header[name]!.data_offsets[0]!;
}

async function converted(format: TargetFormat): Promise<Uint8Array> {
  const plan = planConversion(config, format);
  const file = new Uint8Array(plan.header.length + plan.dataBytes);
  file.set(plan.header);
  const sink = convertingSink(plan, ({ begin }, bytes, at) => file.set(bytes, plan.header.length + begin + at));
  await readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink);
  return file;
}

function load(file: Uint8Array, chunkBytes = 1 << 16): Promise<unknown> {
  const shards = [{ file: "model.safetensors", source: source(file, file.length, chunkBytes) }];
  return createReferenceBackend(config, (sink) => readCheckpoint(shards, config, sink));
}

describe("float weights", () => {
  const bad: [dtype: FloatDtype, bits: number[], value: string][] = [
    ["F32", [0, 0, 0xc0, 0x7f], "NaN"],
    ["F32", [1, 0, 0x80, 0xff], "NaN"],
    ["F32", [0, 0, 0x80, 0x7f], "Infinity"],
    ["F32", [0, 0, 0x80, 0xff], "-Infinity"],
    ["F16", [0, 0x7c], "Infinity"],
    ["F16", [1, 0x7e], "NaN"],
    ["BF16", [0x80, 0xff], "-Infinity"],
    ["BF16", [0xc1, 0x7f], "NaN"],
  ];
  for (const [dtype, bits, value] of bad)
    it(`of ${dtype} with ${value} (${bits.join(" ")}) are refused, whatever the chunks are`, async () => {
      const file = tinyCheckpoint(TINY_CONFIG, dtype);
      file.set(bits, beginOf(file) + 37 * bits.length);
      for (const chunkBytes of [1 << 16, 1000, 7, 1])
        await expect(load(file, chunkBytes)).rejects.toMatchObject({
          code: "invalid_checkpoint",
          param: NAME,
          message: expect.stringContaining(`holds ${value} at element 37`),
        });
    });

  it("as large as floats can be are no fault", async () => {
    const file = tinyCheckpoint();
    file.set([0xff, 0xff, 0x7f, 0x7f], beginOf(file));
    await load(file);
  });

  it("of norms and biases are looked at, too", async () => {
    const file = tinyCheckpoint();
    file.set([0, 0, 0xc0, 0x7f], beginOf(file, "transformer.ln_f.weight"));
    await expect(load(file)).rejects.toMatchObject({ code: "invalid_checkpoint", param: "transformer.ln_f.weight" });
  });
});

describe("scales", () => {
  /** Of row 3, columns 32 to 63 of the head block: the second block of a matrix of 32 columns a group. */
  const scaleAt = (file: Uint8Array, blockBytes: number): number => beginOf(file) + 2 * blockBytes - 64 + 3 * 4;
  for (const [format, blockBytes] of [
    ["q4", 320],
    ["q8", 576],
  ] as const)
    for (const value of [NaN, Infinity, -Infinity, 1e30, -7e4])
      it(`of ${format} that are ${value} are refused`, async () => {
        const file = await converted(format);
        await load(file);
        new DataView(file.buffer).setFloat32(scaleAt(file, blockBytes), value, true);
        for (const chunkBytes of [1 << 16, 100, 3])
          await expect(load(file, chunkBytes)).rejects.toMatchObject({
            code: "invalid_checkpoint",
            param: NAME,
            message: expect.stringMatching(
              new RegExp(`${format} scale ${value === 1e30 ? "1.*e\\+30" : value} in row 19, columns 0 to 31`),
            ),
          });
      });

  it("are refused where convert would have to write them", async () => {
    const file = tinyCheckpoint();
    new DataView(file.buffer).setFloat32(beginOf(file), 1e20, true);
    const convert = readWeights(
      memoryFolder({ "model.safetensors": file }),
      config,
      convertingSink(planConversion(config, "q4"), () => {}),
    );
    await expect(convert).rejects.toMatchObject({ code: "invalid_checkpoint", param: NAME });
  });
});

describe("the Wasm core", () => {
  it("refuses them as well", async () => {
    const file = tinyCheckpoint();
    file.set([0, 0, 0xc0, 0x7f], beginOf(file));
    const shards = [{ file: "model.safetensors", source: source(file) }];
    await expect(createNodeWasmBackend(config, (sink) => readCheckpoint(shards, config, sink))).rejects.toMatchObject({ param: NAME });
  });
});

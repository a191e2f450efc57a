import { describe, expect, it } from "vitest";
import { readSafetensors, type TensorInfo } from "../../engine/model/safetensors.ts";
import { safetensors, source } from "./files.ts";

const GOOD = { a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] }, b: { dtype: "F16", shape: [2], data_offsets: [24, 28] } };

async function read(bytes: Uint8Array, claimed = bytes.length, chunk = 7): Promise<Map<string, Uint8Array>> {
  const seen = new Map<string, Uint8Array>();
  await readSafetensors(
    source(bytes, claimed, chunk),
    () => {},
    (info: TensorInfo) => {
      const parts: number[] = [];
      return { write: (c) => void parts.push(...c), done: () => void seen.set(info.name, Uint8Array.from(parts)) };
    },
  );
  return seen;
}

describe("a safetensors file", () => {
  it("is read whole, whatever the chunks", async () => {
    const data = Uint8Array.from({ length: 28 }, (_, i) => i);
    for (const chunk of [1, 3, 8, 1000]) {
      const tensors = await read(safetensors(GOOD, data), undefined, chunk);
      expect(tensors.get("a")).toEqual(data.slice(0, 24));
      expect(tensors.get("b")).toEqual(data.slice(24));
    }
  });

  const data = new Uint8Array(28);
  const lies: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["is empty", new Uint8Array(0), /truncated/],
    ["ends within its data", safetensors(GOOD, data).subarray(0, -5), /describes|truncated/],
    ["goes on after its data", Uint8Array.from([...safetensors(GOOD, data), 1]), /describes/],
    ["claims a header longer than itself", Uint8Array.from([255, 255, 255, 0, 0, 0, 0, 0, 123]), /header claims/],
    ["claims a header of 2^63 bytes", Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 128, 123]), /header claims/],
    ["has a header that is not JSON", Uint8Array.from([3, 0, 0, 0, 0, 0, 0, 0, 123, 123, 123]), /not JSON/],
    ["has a header that is a list", safetensors([] as never, new Uint8Array(0)), /not a JSON object/],
    ["names an unknown dtype", safetensors({ a: { dtype: "F8_E4M3", shape: [28], data_offsets: [0, 28] } }, data), /dtype "F8_E4M3"/],
    ["has overlapping tensors", safetensors({ ...GOOD, b: { dtype: "F16", shape: [2], data_offsets: [20, 24] } }, data), /overlap/],
    ["leaves a gap", safetensors({ ...GOOD, b: { dtype: "F16", shape: [1], data_offsets: [26, 28] } }, data), /gaps/],
    [
      "gives a shape that its bytes do not fit",
      safetensors({ a: { dtype: "F32", shape: [2, 4], data_offsets: [0, 28] } }, data),
      /needs 32 bytes/,
    ],
    ["gives a negative dimension", safetensors({ a: { dtype: "F32", shape: [-7, -1], data_offsets: [0, 28] } }, data), /no valid shape/],
    [
      "gives a shape whose product overflows",
      safetensors({ a: { dtype: "F32", shape: [2 ** 40, 2 ** 40], data_offsets: [0, 28] } }, data),
      /needs/,
    ],
    ["gives offsets backwards", safetensors({ a: { dtype: "F32", shape: [0], data_offsets: [28, 0] } }, data), /no valid data_offsets/],
  ];
  for (const [what, bytes, message] of lies)
    it(`that ${what} is a named error`, async () => {
      await expect(read(bytes)).rejects.toMatchObject({ code: "invalid_checkpoint", message: expect.stringMatching(message) });
    });

  it("that is truncated is found out even where its size is not known beforehand", async () => {
    const bytes = safetensors(GOOD, data).subarray(0, -5);
    await expect(read(bytes, undefined as never)).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringMatching(/truncated|describes/),
    });
  });
});

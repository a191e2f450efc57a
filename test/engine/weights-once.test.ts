/** The weights file of a load: fetched once, though its header is read before its weights. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { modelPath } from "../../cli/models.ts";
import { weightsOnce } from "../../engine/model/weights-once.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";

const FILE = "model.safetensors";

/** A folder whose chunks lie in one buffer, which is used again; counts what is opened, read and let go. */
function counted(bytes: Uint8Array, chunkBytes: number) {
  const counts = { opened: 0, read: 0, left: 0 };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(chunkBytes);
    try {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const part = bytes.subarray(at, at + chunkBytes);
        buffer.set(part);
        counts.read += part.length;
        yield buffer.subarray(0, part.length);
        buffer.fill(0);
      }
    } finally {
      counts.left++;
    }
  }
  const folder: ModelFolder = {
    name: "m",
    readText: async () => undefined,
    async open(name) {
      if (name !== FILE) return undefined;
      counts.opened++;
      return { name, bytes: bytes.length, open: chunks };
    },
  };
  return { folder, counts };
}

async function read(folder: ModelFolder, most = Infinity): Promise<number[]> {
  const found: number[] = [];
  for await (const chunk of (await folder.open(FILE))!.open()) {
    found.push(...chunk);
    if (found.length >= most) break;
  }
  return found;
}

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i + 1);

describe("weights that are read twice", () => {
  it.each([0, 1, 30, 99, Infinity])("after %d bytes are fetched once, and the second reading has them all", async (most) => {
    const { folder, counts } = counted(BYTES, 7);
    const once = weightsOnce(folder);
    expect(await read(once.folder, most)).toEqual([...BYTES].slice(0, Math.min(100, Math.max(7, Math.ceil(most / 7) * 7))));
    expect(await read(once.folder)).toEqual([...BYTES]);
    expect(counts).toEqual({ opened: 1, read: 100, left: 1 });
    await once.close();
    expect(counts.left).toBe(1);
  });

  it("a third time are fetched anew, as a fallback does", async () => {
    const { folder, counts } = counted(BYTES, 7);
    const once = weightsOnce(folder);
    for (let reading = 0; reading < 3; reading++) expect(await read(once.folder)).toEqual([...BYTES]);
    expect(counts).toMatchObject({ opened: 2, read: 200 });
  });

  it("are let go where the second reading never comes, or ends early", async () => {
    const never = counted(BYTES, 7);
    const once = weightsOnce(never.folder);
    await read(once.folder, 1);
    expect(never.counts.left).toBe(0);
    await once.close();
    expect(never.counts.left).toBe(1);
    const early = counted(BYTES, 7);
    const twice = weightsOnce(early.folder);
    await read(twice.folder, 1);
    await read(twice.folder, 20);
    expect(early.counts.left).toBe(1);
  });

  it("are those of every load", async () => {
    const path = modelPath("nano");
    let opened = 0;
    const folder: ModelFolder = {
      name: path,
      readText: async (file) => {
        try {
          return readFileSync(`${path}/${file}`, "utf8");
        } catch {
          return undefined;
        }
      },
      async open(file) {
        if (file === FILE) opened++;
        const bytes = readFileSync(`${path}/${file}`);
        return {
          name: file,
          bytes: bytes.length,
          open: () =>
            (async function* () {
              yield bytes;
            })(),
        };
      },
    };
    await loadModel(folder, createReferenceBackend);
    expect(opened).toBe(1);
  });
});

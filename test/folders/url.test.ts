/** A folder behind a URL: what breaks off midway goes on where it stopped, if it is still the same file. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convert } from "../../cli/convert.ts";
import { diskFolder } from "../../cli/files.ts";
import { checkedFolder } from "../../engine/model/file-list.ts";
import { readConfig, readWeights, type ModelFolder } from "../../engine/model/folder.ts";
import type { TensorWriter } from "../../engine/model/safetensors.ts";
import { TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { urlFolder } from "../../folders/url.ts";
import { serveFiles, type FolderServer } from "./server.ts";

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
let server: FolderServer;

beforeEach(async () => {
  server = await serveFiles({ "model.safetensors": WEIGHTS });
});
afterEach(() => server.close());

async function readAll(): Promise<Uint8Array> {
  const source = await urlFolder(server.url).open("model.safetensors");
  const parts: Uint8Array[] = [];
  for await (const chunk of source!.open()) parts.push(chunk.slice());
  return new Uint8Array(Buffer.concat(parts));
}

describe("a sharded folder", () => {
  it("is read shard by shard, each asked for once for its weights, and is the model that lies in one file", async () => {
    const root = await mkdtemp(join(tmpdir(), "fathom-url-"));
    try {
      const source = join(root, "source");
      await mkdir(source);
      await writeFile(join(source, "config.json"), JSON.stringify(TINY_CONFIG));
      await writeFile(join(source, "model.safetensors"), tinyCheckpoint(TINY_CONFIG, "F32"));
      const { files } = await convert(source, join(root, "shards"), "f32", { shardBytes: 20_000 });
      expect(files).toBeGreaterThan(2);
      const names = await readdir(join(root, "shards"));
      server.files = Object.fromEntries(
        await Promise.all(names.map(async (name) => [name, await readFile(join(root, "shards", name))] as const)),
      );
      server.breakAfter = 3000;
      expect(await weightsOf(urlFolder(server.url))).toEqual(await weightsOf(diskFolder(source)));
      for (let n = 1; n <= files; n++) {
        const shard = `model-${String(n).padStart(5, "0")}-of-${String(files).padStart(5, "0")}.safetensors`;
        expect(
          server.requests.filter((request) => request === shard),
          shard,
        ).toHaveLength(1);
      }
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

/** Every tensor's bytes, as a backend gets them. */
async function weightsOf(from: ModelFolder): Promise<Record<string, number[]>> {
  const folder = await checkedFolder(from);
  const config = await readConfig(folder);
  const weights: Record<string, number[]> = {};
  const keep = (name: string): TensorWriter => ({ write: (chunk) => void (weights[name] ??= []).push(...chunk), done: () => undefined });
  await readWeights(folder, config, { matrix: keep, vector: keep });
  return weights;
}

describe("a body that breaks off", () => {
  it("goes on by range requests, so that every byte comes once and in order", async () => {
    server.breakAfter = 70_000;
    expect(Buffer.compare(await readAll(), WEIGHTS)).toBe(0);
    const [first, ...others] = server.requests;
    expect(first).toBe("model.safetensors");
    expect(others.length).toBeGreaterThanOrEqual(4);
    const begins = others.map((request) => Number(request.split(" from ")[1]));
    expect(begins).toEqual(begins.toSorted((a, b) => a - b));
  });

  it("ends where another file has come in its place", async () => {
    server.breakAfter = 70_000;
    const source = await urlFolder(server.url).open("model.safetensors");
    server.files = { "model.safetensors": WEIGHTS.slice().reverse() };
    await expect(
      (async () => {
        for await (const _ of source!.open()) continue;
      })(),
    ).rejects.toMatchObject({ code: "unavailable", isTransient: true });
  });

  it("ends where no entity tag says that it is the same file", async () => {
    server.breakAfter = 70_000;
    server.hasTags = false;
    await expect(readAll()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    expect(server.requests).toEqual(["model.safetensors"]);
  });

  it.each([
    ["has no ranges", { hasRanges: false }],
    ["says that it has ranges and answers with the whole", { ignoresRanges: true }],
  ])("is read again, past what is there, from a server that %s", async (_, lack) => {
    Object.assign(server, lack, { breakAfter: 70_000, breaks: 2 });
    expect(Buffer.compare(await readAll(), WEIGHTS)).toBe(0);
    expect(server.requests).toEqual(["model.safetensors", "model.safetensors", "model.safetensors"]);
  });

  it("ends where a server without ranges breaks off at the same place each time", async () => {
    Object.assign(server, { hasRanges: false, breakAfter: 70_000 });
    await expect(readAll()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    expect(server.requests.length).toBeLessThanOrEqual(8); // four, each of which may be sent twice by Node
  });

  it("ends where a server without ranges has another file by then", async () => {
    Object.assign(server, { hasRanges: false, breakAfter: 70_000, breaks: 1 });
    const source = await urlFolder(server.url).open("model.safetensors");
    server.files = { "model.safetensors": WEIGHTS.slice().reverse() };
    const reading = (async () => {
      for await (const _chunk of source!.open()) continue;
    })();
    await expect(reading).rejects.toMatchObject({ code: "unavailable", isTransient: true });
  });

  it("takes no bytes of another range than it asked for", async () => {
    Object.assign(server, { rangesOffBy: 3, breakAfter: 70_000, breaks: 1 });
    await expect(readAll()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
  });

  it("ends after three tries without a byte", async () => {
    server.breakAfter = 70_000;
    const source = await urlFolder(server.url).open("model.safetensors");
    server.breakAfter = 0;
    const reading = (async () => {
      for await (const _ of source!.open()) continue;
    })();
    await expect(reading).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    expect(new Set(server.requests)).toEqual(new Set(["model.safetensors", "model.safetensors from 70000"]));
    expect(server.requests.length).toBeLessThanOrEqual(7); // each may be sent twice by Node
  });
});

/** A model kept in a browser's private storage: downloaded once, checked, there without the network, renewed when it changes. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canKeepModels, forgetOpfsFolder, opfsFolder, type DownloadProgress } from "../../folders/opfs.ts";
import { loadModel } from "../../engine/port/model.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { createReferenceBackend } from "../../engine/reference/index.ts";
import { readdir, readFile } from "node:fs/promises";
import { serveFiles, type Files, type FolderServer } from "./server.ts";
import { MemoryStorage } from "./storage.ts";

const MIB = 1048576;
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A folder with its card. @param more of the card */
function listed(files: Files, more: object = {}): Files {
  const entries = Object.entries(files).map(([name, bytes]) => {
    const pieces = Array.from({ length: Math.ceil(bytes.length / MIB) }, (_, i) => sha256(bytes.subarray(i * MIB, (i + 1) * MIB)));
    const cut = bytes.length > MIB && { pieces: { bytes: MIB, sha256: pieces } };
    return [name, { sha256: sha256(bytes), bytes: bytes.length, ...cut }];
  });
  return { ...files, "card.json": text(JSON.stringify({ ...more, files: Object.fromEntries(entries) })) };
}

const CONFIG = text('{"a": 1}');
const LARGE = new Uint8Array(66 * MIB).fill(7).fill(9, 65 * MIB);
const FOLDER = listed({ "config.json": CONFIG, "model.safetensors": LARGE });

let server: FolderServer;
let storage: MemoryStorage;
let progress: DownloadProgress[];
let notices: string[];

beforeEach(async () => {
  server = await serveFiles(FOLDER);
  [storage, progress, notices] = [new MemoryStorage(), [], []];
});
afterEach(() => server.close());

const keep = (): Promise<ModelFolder> =>
  opfsFolder(server.url, {
    storage: storage.asManager(),
    progress: (told) => progress.push(told),
    notice: (line) => notices.push(line),
  });

async function digestOf(folder: ModelFolder, file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of (await folder.open(file))!.open()) hash.update(chunk);
  return hash.digest("hex");
}

/** Stored files of the models, by model. */
const stored = (): string[] =>
  [...storage.root.directories.get("fathom-models")!.directories.values()].flatMap(({ files }) => [...files.keys()]);

describe("a folder that is kept", () => {
  it("is downloaded once, with progress up to its whole size, and has the server's bytes", async () => {
    const folder = await keep();
    expect(await digestOf(folder, "model.safetensors")).toBe(sha256(LARGE));
    expect(await folder.readText("config.json")).toBe('{"a": 1}');
    expect(await folder.readText("other.json")).toBeUndefined();
    expect(progress.at(-1)).toEqual({ doneBytes: LARGE.length + CONFIG.length, totalBytes: LARGE.length + CONFIG.length });
    expect(progress.map(({ doneBytes }) => doneBytes)).toEqual(progress.map(({ doneBytes }) => doneBytes).toSorted((a, b) => a - b));
    server.requests.length = 0;
    await digestOf(await keep(), "model.safetensors");
    expect(server.requests).toEqual(["card.json"]);
  });

  it("answers without the network, and says so", async () => {
    await keep();
    server.close();
    expect(await digestOf(await keep(), "model.safetensors")).toBe(sha256(LARGE));
    expect(notices).toEqual([expect.stringContaining("the files that are kept here answer")]);
  });

  it("answers where a portal sends its own page in the card's place", async () => {
    await keep();
    server.files = { "card.json": text("<html>Please log in</html>") };
    expect(await (await keep()).readText("config.json")).toBe('{"a": 1}');
  });

  it("is renewed where the server's card has changed: only what differs, and what was is removed", async () => {
    await keep();
    server.requests.length = 0;
    server.files = listed({ "config.json": text('{"a": 2}'), "model.safetensors": LARGE });
    expect(await (await keep()).readText("config.json")).toBe('{"a": 2}');
    expect(server.requests).toEqual(["card.json", "config.json"]);
    expect(stored()).not.toContain(`${sha256(CONFIG)}-0`);
  });

  it("is downloaded again where the browser has dropped a part", async () => {
    await keep();
    const [model] = storage.root.directories.get("fathom-models")!.directories.values();
    model!.files.delete(`${sha256(LARGE)}-1`);
    server.requests.length = 0;
    expect(await digestOf(await keep(), "model.safetensors")).toBe(sha256(LARGE));
    expect(server.requests).toEqual(["card.json", `model.safetensors from ${64 * MIB}`]);
  });

  it("can be forgotten, once and again", async () => {
    await keep();
    await forgetOpfsFolder(server.url, storage.asManager());
    await forgetOpfsFolder(server.url, storage.asManager());
    expect(stored()).toEqual([]);
  });

  it("loads and answers as from the server", async () => {
    const nano = new URL("../../models/nano/", import.meta.url);
    const names = (await readdir(nano)).filter((name) => name !== "eval");
    server.files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, nano))] as const)));
    await keep();
    server.close();
    expect((await loadModel(await keep(), createReferenceBackend)).card.id).toBe("nano");
  });
});

describe("a download", () => {
  it("goes on with the segment in which it broke off", async () => {
    server.hasTags = false; // so that the body itself does not go on
    server.breakAfter = 65.5 * MIB;
    await expect(keep()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    [server.breakAfter, server.requests.length] = [Infinity, 0];
    progress.length = 0;
    expect(await digestOf(await keep(), "model.safetensors")).toBe(sha256(LARGE));
    expect(server.requests).toContain(`model.safetensors from ${64 * MIB}`);
    expect(progress[0]!.doneBytes).toBeGreaterThan(64 * MIB);
  });

  it("takes the whole again from a server without ranges", async () => {
    Object.assign(server, { hasTags: false, hasRanges: false, breakAfter: 65.5 * MIB });
    await expect(keep()).rejects.toMatchObject({ code: "unavailable" });
    server.breakAfter = Infinity;
    expect(await digestOf(await keep(), "model.safetensors")).toBe(sha256(LARGE));
  });

  it("keeps nothing that is not what the card lists, and says where it differs", async () => {
    const damaged = LARGE.slice();
    damaged[65 * MIB + 3]! ^= 1;
    server.files = { ...server.files, "model.safetensors": damaged };
    const differs = { code: "invalid_checkpoint", message: expect.stringContaining(`in bytes ${65 * MIB} to ${66 * MIB}`) };
    await expect(keep()).rejects.toMatchObject(differs);
    expect(stored()).toContain(`${sha256(LARGE)}-0`);
    expect(stored()).not.toContain(`${sha256(LARGE)}-1`);
    expect(stored()).not.toContain("card.json");
  });

  it("is refused before it begins where the browser has no room", async () => {
    storage.quota = 10 * MIB;
    const refusal = { code: "unavailable", message: expect.stringContaining("69 MB are still to come, and the browser has 10 MB") };
    await expect(keep()).rejects.toMatchObject(refusal);
    expect(server.requests).toEqual(["card.json"]);
  });

  it.each([
    ["no card", {}, "it has no card.json"],
    ["a card without a list", { "card.json": text("{}") }, "its card.json has no list of files"],
  ])("is refused of a folder with %s", async (_, files, why) => {
    server.files = files;
    await expect(keep()).rejects.toMatchObject({ code: "invalid_card", message: expect.stringContaining(why) });
  });
});

describe("a folder over a base", () => {
  it("keeps its own files, and the base as a model of its own", async () => {
    const base = listed({ "config.json": CONFIG });
    const labels = text("labels");
    const card = { base: "../base", decisions: { labels: { file: "labels.safetensors" } } };
    server.files = listed({ "config.json": CONFIG, "labels.safetensors": labels }, card);
    const other = await serveFiles({});
    other.close();
    const asked = globalThis.fetch;
    globalThis.fetch = (input, init) =>
      (input as string).includes("/base/") ? Promise.resolve(answer(base[(input as string).split("/base/")[1]!])) : asked(input, init);
    try {
      const folder = await keep();
      expect(await folder.readText("labels.safetensors")).toBe("labels");
      expect(await folder.beside!("../base")!.readText("config.json")).toBe('{"a": 1}');
      expect(storage.root.directories.get("fathom-models")!.directories.size).toBe(2);
    } finally {
      globalThis.fetch = asked;
    }
  });
});

function answer(bytes: Uint8Array | undefined): Response {
  return bytes === undefined ? new Response(null, { status: 404 }) : new Response(bytes.slice());
}

it("is known not to be possible where there is no such storage", async () => {
  expect(canKeepModels(undefined)).toBe(false);
  expect(canKeepModels({} as StorageManager)).toBe(false);
  await expect(opfsFolder(server.url, { storage: {} as StorageManager })).rejects.toMatchObject({ code: "unavailable" });
});

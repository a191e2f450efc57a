/** A folder that shares the files of a base: whose files are read, and that no other base is taken for its own. */
import { describe, expect, it } from "vitest";
import { withBase } from "../../engine/model/base-folder.ts";
import { checkedFolder } from "../../engine/model/file-list.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";

const encoder = new TextEncoder();
const sha256 = (bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> => crypto.subtle.digest("SHA-256", bytes);

async function listed(text: string): Promise<{ sha256: string; bytes: number }> {
  const bytes = encoder.encode(text);
  return { sha256: Buffer.from(await sha256(bytes)).toString("hex"), bytes: bytes.length };
}

function folderOf(name: string, files: Readonly<Record<string, string>>, beside: Readonly<Record<string, ModelFolder>> = {}): ModelFolder {
  const bytesOf = (file: string): Uint8Array | undefined => (files[file] === undefined ? undefined : encoder.encode(files[file]));
  return {
    name,
    sha256,
    beside: (base) => beside[base],
    readText: async (file) => files[file],
    async open(file) {
      const bytes = bytesOf(file);
      if (bytes === undefined) return undefined;
      return {
        name: file,
        bytes: bytes.length,
        async *open() {
          yield bytes;
        },
      };
    },
  };
}

async function folders(change: Readonly<Record<string, string>> = {}, list: Readonly<Record<string, string>> = {}) {
  const files = { "config.json": "{}", "tokenizer.json": "words", ...change };
  const all: Record<string, object> = {};
  for (const [file, text] of Object.entries({ "config.json": "{}", "tokenizer.json": "words", ...list })) all[file] = await listed(text);
  const base = folderOf("decider", { ...files, "card.json": JSON.stringify({ id: "decider", files: all }) });
  const expected = {
    "config.json": await listed("{}"),
    "tokenizer.json": await listed("words"),
    "labels.safetensors": await listed("mine"),
  };
  const card = JSON.stringify({ id: "mine", base: "decider", decisions: { labels: {} }, files: expected });
  return folderOf("mine", { "card.json": card, "labels.safetensors": "mine", "tokenizer.json": "not asked for" }, { decider: base });
}

describe("a folder with a base", () => {
  it("reads the card and the labels of its own, and all else of the base, each against its own list", async () => {
    const folder = await checkedFolder(await withBase(await folders()));
    expect(JSON.parse((await folder.readText("card.json"))!)).toMatchObject({ id: "mine" });
    expect(await folder.readText("labels.safetensors")).toBe("mine");
    expect(await folder.readText("tokenizer.json")).toBe("words");
  });

  it("tells a base that was made anew from one that is damaged", async () => {
    const anew = await folders({ "tokenizer.json": "other" }, { "tokenizer.json": "other" });
    await expect(withBase(anew)).rejects.toThrow(/mine was trained over another base: decider\/tokenizer\.json .* Train it again/);
    const damaged = await checkedFolder(await withBase(await folders({ "tokenizer.json": "wXrds" })));
    await expect(damaged.readText("tokenizer.json")).rejects.toThrow(/decider\/tokenizer\.json has SHA-256 .* it is damaged/);
  });

  it("says which folder is missing", async () => {
    const { beside: _beside, ...alone } = await folders();
    await expect(withBase(alone)).rejects.toThrow(/mine needs its base decider, but it is not there; put the base's folder beside it/);
  });

  it("without a base, or with a card that is none, is left alone", async () => {
    for (const card of ["{}", "no card", JSON.stringify({ base: 3 })]) {
      const folder = folderOf("plain", { "card.json": card });
      expect(await withBase(folder), card).toBe(folder);
    }
  });
});

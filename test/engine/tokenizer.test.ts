import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../engine/model/config.ts";
import { TextStream } from "../../engine/model/text/text-stream.ts";
import { readTokenizer, type TextCodec } from "../../engine/model/tokenizer.ts";
import { memoryFolder, TINY_CONFIG } from "./files.ts";

const NANO = fileURLToPath(new URL("../../models/nano/", import.meta.url));
const config = parseConfig({ ...TINY_CONFIG, vocab_size: 1024, bos_token_id: 0 });

let codec: TextCodec;
let json: string;
beforeAll(async () => {
  json = await readFile(`${NANO}tokenizer.json`, "utf8");
  codec = await readTokenizer(
    memoryFolder({ "tokenizer.json": json, "chat_template.jinja": "{{ messages[-1].content }}\nAnswer:" }),
    config,
  );
});

describe("the tokenizer", () => {
  it("puts the beginning of text first and gives every text back", () => {
    for (const text of ["Start with 3. Add 4.", "not ( True ) is", "ünïcödé ✓ 日本\n\ttabs", "  spaces  "]) {
      const ids = codec.encode(text);
      expect(ids[0]).toBe(0);
      expect(codec.decode(ids)).toBe(text);
    }
  });

  it("renders a conversation by the template", () => {
    expect(codec.decode(codec.encodeChat([{ role: "user", content: "Add 1." }]))).toBe("Add 1.\nAnswer:");
  });

  it("streams characters whole that tokens split", () => {
    const text = "né ✓ 日本🙂 end";
    const ids = codec.encode(text).slice(1);
    const stream = new TextStream(codec);
    const pieces = ids.map((id) => stream.push(id));
    expect(pieces.join("") + stream.flush()).toBe(text);
    expect(pieces.some((p) => p.includes("\uFFFD"))).toBe(false);
    expect(ids.length).toBeGreaterThan([...text].length / 2);
  });

  it("shows what is broken at the end", () => {
    const ids = codec.encode("🙂").slice(1, -1);
    const stream = new TextStream(codec);
    expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toContain("\uFFFD");
  });

  it("refuses an empty conversation", () => {
    for (const messages of [[], [{ role: "user", content: " " }]])
      expect(() => codec.encodeChat(messages)).toThrow(expect.objectContaining({ code: "empty_prompt" }));
  });

  it("that is broken, or larger than the vocabulary, is a named error", async () => {
    await expect(readTokenizer(memoryFolder({}), config)).rejects.toMatchObject({ code: "invalid_tokenizer" });
    await expect(readTokenizer(memoryFolder({ "tokenizer.json": "{" }), config)).rejects.toMatchObject({ code: "invalid_tokenizer" });
    await expect(readTokenizer(memoryFolder({ "tokenizer.json": "{}" }), config)).rejects.toMatchObject({ code: "invalid_tokenizer" });
    await expect(readTokenizer(memoryFolder({ "tokenizer.json": json, "chat_template.jinja": "{% if %}" }), config)).rejects.toMatchObject({
      code: "invalid_tokenizer",
    });
    const small = await readTokenizer(memoryFolder({ "tokenizer.json": json }), parseConfig({ ...TINY_CONFIG, vocab_size: 300 }));
    expect(() => small.encode("Question: does Ada tell the truth?")).toThrow(expect.objectContaining({ code: "invalid_tokenizer" }));
  });
});

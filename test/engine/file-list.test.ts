/**
 * Model folders whose card lists their files: what is read is what was listed, or an error names the file.
 */
import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { defaultCard } from "../../engine/model/card.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { convertingSink, planConversion } from "../../engine/model/convert.ts";
import { checkedFolder, pieceBytesFor, type FileList } from "../../engine/model/file-list.ts";
import { readConfig, readWeights, type ModelFolder } from "../../engine/model/folder.ts";
import { TINY_CONFIG, tinyCheckpoint, memoryFolder } from "./files.ts";

type Files = Record<string, Uint8Array>;

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const CHUNK_BYTES = 100_000; // divides no piece

/** Files in memory as a host would give them, hashed by WebCrypto. */
function hostFolder(files: Files, notice: (line: string) => void = () => undefined): ModelFolder {
  const open = async (file: string) =>
    files[file] && {
      name: file,
      async *open() {
        for (let at = 0; at < files[file]!.length; at += CHUNK_BYTES) yield files[file]!.subarray(at, at + CHUNK_BYTES);
      },
    };
  return {
    name: "host",
    notice,
    open,
    readText: async (file) => files[file] && new TextDecoder().decode(files[file]),
    sha256: (bytes) => crypto.subtle.digest("SHA-256", bytes),
  };
}

function listOf(files: Files, pieceBytes = (bytes: number) => pieceBytesFor(bytes)): FileList {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => {
      const length = pieceBytes(content.length);
      const cuts = Array.from({ length: Math.ceil(content.length / length) }, (_, i) => content.subarray(i * length, (i + 1) * length));
      const pieces = { bytes: length, sha256: cuts.map(hex) };
      return [name, { sha256: hex(content), bytes: content.length, ...(cuts.length > 1 && { pieces }) }];
    }),
  );
}

const MODEL: Files = {
  "config.json": bytesOf(JSON.stringify(TINY_CONFIG)),
  "model.safetensors": tinyCheckpoint(),
  "chat_template.jinja": bytesOf("{{ messages[0].content }}"),
};

function withCard(files: Files, list: FileList = listOf(files)): Files {
  return { ...files, "card.json": bytesOf(JSON.stringify({ ...defaultCard("tiny", parseConfig(TINY_CONFIG)), files: list })) };
}

async function readAll(folder: ModelFolder): Promise<void> {
  const sink = { matrix: () => ({ write() {}, done() {} }), vector: () => ({ write() {}, done() {} }) };
  const config = await readConfig(folder);
  await folder.readText("chat_template.jinja");
  await readWeights(folder, config, sink);
}

describe("a folder whose card lists its files", () => {
  it("reads as it would without the list", async () => {
    const folder = await checkedFolder(hostFolder(withCard(MODEL)));
    expect(await folder.readText("chat_template.jinja")).toBe("{{ messages[0].content }}");
    await readAll(folder);
  });

  const codes = { "config.json": "invalid_config", "model.safetensors": "invalid_checkpoint", "chat_template.jinja": "invalid_tokenizer" };
  for (const [file, code] of Object.entries(codes)) {
    it(`refuses ${file} with one bit changed, naming what was expected and what is there`, async () => {
      const damaged = MODEL[file]!.slice();
      damaged[damaged.length - 2]! ^= 1;
      const folder = await checkedFolder(hostFolder(withCard({ ...MODEL, [file]: damaged }, listOf(MODEL))));
      await expect(readAll(folder)).rejects.toMatchObject({
        code,
        param: file,
        message: expect.stringMatching(`${file} has SHA-256 ${hex(damaged)}, but card.json lists ${hex(MODEL[file]!)}.*copy it again`),
      });
    });

    it(`refuses ${file} cut short or with more at its end`, async () => {
      for (const length of [-1, 1]) {
        const changed = length < 0 ? MODEL[file]!.slice(0, length) : new Uint8Array([...MODEL[file]!, 32]);
        const folder = await checkedFolder(hostFolder(withCard({ ...MODEL, [file]: changed }, listOf(MODEL))));
        await expect(readAll(folder)).rejects.toMatchObject({ code, message: expect.stringContaining(file) });
      }
    });

    it(`thinks ${file} cut short on its way where it does not say how long it is, and damaged where it does`, async () => {
      const short = MODEL[file]!.slice(0, -1);
      const host = hostFolder(withCard({ ...MODEL, [file]: short }, listOf(MODEL)));
      for (const bytes of [undefined, short.length, MODEL[file]!.length]) {
        const open = async (name: string) => {
          const source = await host.open(name);
          return source && { ...source, bytes: name === file ? bytes : undefined };
        };
        const isTransient = bytes !== short.length;
        await expect(readAll(await checkedFolder({ ...host, open }))).rejects.toMatchObject({ code, isTransient });
      }
    });

    it(`refuses to go without ${file}, and reads it once it is there`, async () => {
      const { [file]: content, ...rest } = MODEL;
      const files = withCard(rest, listOf(MODEL));
      await expect(checkedFolder(hostFolder(files)).then(readAll)).rejects.toMatchObject({
        code,
        param: file,
        message: expect.stringContaining(`${file} is missing, though card.json lists it`),
      });
      files[file] = content!;
      await readAll(await checkedFolder(hostFolder(files)));
    });
  }

  it("takes a file that is not listed for absent", async () => {
    const { "chat_template.jinja": template, ...rest } = MODEL;
    const folder = await checkedFolder(hostFolder({ ...withCard(rest), "chat_template.jinja": template! }));
    expect(await folder.readText("chat_template.jinja")).toBeUndefined();
    await readAll(folder);
  });

  for (const name of ["generation_config.json", "chat_template.jinja", "tokenizer_config.json"])
    it(`tells of a file that is there and not listed, when it would have been read: ${name}`, async () => {
      const { "chat_template.jinja": _, ...rest } = MODEL;
      const notice = vi.fn();
      const folder = await checkedFolder(hostFolder({ ...withCard(rest), [name]: bytesOf("{}") }, notice));
      expect(await folder.readText(name)).toBeUndefined();
      expect(await folder.readText("nothing.json")).toBeUndefined();
      expect(notice.mock.calls).toEqual([[expect.stringMatching(`^host/${name} has no effect, as card.json does not list it`)]]);
    });

  it("finds two tensors of one shape that changed places", async () => {
    const swapped = tinyCheckpoint(TINY_CONFIG, "F32", (entries) => {
      const [a, b] = ["transformer.ln_f.weight", "transformer.coda.0.norm_1.weight"];
      [entries[a], entries[b]] = [entries[b], entries[a]];
    });
    const folder = await checkedFolder(hostFolder(withCard({ ...MODEL, "model.safetensors": swapped }, listOf(MODEL))));
    await expect(readAll(folder)).rejects.toMatchObject({ code: "invalid_checkpoint", param: "model.safetensors" });
  });
});

describe("a large file", () => {
  const content = Uint8Array.from({ length: 2_500_000 }, (_, i) => (i * 2654435761) >>> 24);
  const files = { ...MODEL, "model.safetensors": content };

  async function stream(folder: ModelFolder): Promise<number> {
    let read = 0;
    for await (const chunk of (await folder.open("model.safetensors"))!.open()) read += chunk.length;
    return read;
  }

  it("is checked piece by piece, whatever the chunks are", async () => {
    expect(await stream(await checkedFolder(hostFolder(withCard(files))))).toBe(content.length);
  });

  it("is refused by the stretch that is damaged", async () => {
    for (const [at, stretch] of [
      [5, "0 to 1048576"],
      [1_048_576, "1048576 to 2097152"],
      [2_499_999, "2097152 to 2500000"],
    ] as const) {
      const damaged = content.slice();
      damaged[at]! ^= 128;
      const folder = await checkedFolder(hostFolder(withCard({ ...files, "model.safetensors": damaged }, listOf(files))));
      await expect(stream(folder)).rejects.toThrow(`in bytes ${stretch}, but card.json lists`);
    }
  });

  it("has pieces of a length that keeps the card small", () => {
    expect(pieceBytesFor(1)).toBe(1 << 20);
    expect(pieceBytesFor(256 << 20)).toBe(1 << 20);
    expect(pieceBytesFor((256 << 20) + 1)).toBe(2 << 20);
  });
});

describe("a card's list", () => {
  const list = listOf(MODEL);
  const bad: [what: string, files: unknown, field: string][] = [
    ["a digest that is none", { ...list, "config.json": { sha256: "abc", bytes: 3 } }, "files.config.json.sha256"],
    ["a size below zero", { ...list, "config.json": { ...list["config.json"], bytes: -1 } }, "files.config.json.bytes"],
    ["too few pieces", { ...list, x: { sha256: "0".repeat(64), bytes: 3e6, pieces: { bytes: 1 << 20, sha256: [] } } }, "files.x.pieces"],
    ["no pieces of a large file", { ...list, x: { sha256: "0".repeat(64), bytes: 3e6 } }, "files.x.pieces"],
    ["no config.json", {}, "files"],
  ];
  for (const [what, files, field] of bad)
    it(`is refused with ${what}`, async () => {
      const folder = hostFolder(withCard(MODEL, files as FileList));
      await expect(checkedFolder(folder)).rejects.toMatchObject({ code: "invalid_card", param: field });
    });
});

describe("a folder without a list", () => {
  it("is read unchecked, and whoever runs this is told", async () => {
    const notice = vi.fn();
    await readAll(await checkedFolder(hostFolder(MODEL, notice)));
    expect(notice).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/host: the files are not checked.*fathom verify --write/));
  });

  it("is told of where the host cannot hash", async () => {
    const notice = vi.fn();
    const { sha256: _, ...rest } = hostFolder(withCard(MODEL), notice);
    await readAll(await checkedFolder(rest));
    expect(notice).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("this host has no SHA-256"));
  });

  it("is refused where its weights come from fathom convert, which writes a card", async () => {
    const config = parseConfig(TINY_CONFIG);
    const plan = planConversion(config, "q4");
    const converted = new Uint8Array(plan.header.length + plan.dataBytes);
    converted.set(plan.header);
    const sink = convertingSink(plan, ({ begin }, bytes, at) => converted.set(bytes, plan.header.length + begin + at));
    await readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink);
    const folder = hostFolder({ ...MODEL, "model.safetensors": converted });
    await expect(checkedFolder(folder)).rejects.toMatchObject({
      code: "invalid_card",
      message: expect.stringContaining("has no card.json"),
    });
  });
});

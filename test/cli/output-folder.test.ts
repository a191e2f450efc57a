/**
 * Where fathom convert and fathom export may write, and what is left when they are ended early.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkRoom, convert } from "../../cli/convert.ts";
import { exportOnnx } from "../../cli/export.ts";
import { TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fathom-output-"));
  writeModel("source");
});
afterEach(() => rmSync(root, { recursive: true }));

const at = (...names: string[]): string => join(root, ...names);

function writeModel(name: string, files: Readonly<Record<string, string>> = {}): void {
  writeFiles(name, { "config.json": JSON.stringify(TINY_CONFIG), ...files });
  writeFileSync(at(name, "model.safetensors"), tinyCheckpoint());
}

function writeFiles(name: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(at(name), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(at(name, file), text);
}

/** Every file below the root with its bytes, as one value to compare. */
function everything(folder = root): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(paths.map((path) => [relative(root, path), readFileSync(path, "latin1")]));
}

async function expectRefused(work: Promise<unknown>, message: RegExp): Promise<void> {
  await expect(work).rejects.toMatchObject({ code: "invalid_request", message: expect.stringMatching(message) });
}

describe("a folder that convert did not make", () => {
  it("is refused, and nothing in it changes", async () => {
    writeFiles("theirs", { "README.md": "mine", "config.json": "{}" });
    const before = everything();
    await expectRefused(convert(at("source"), at("theirs"), "q4"), /theirs holds files that fathom convert did not write.*--force/);
    expect(everything()).toEqual(before);
  });

  it("is refused with the source of another model in it, too", async () => {
    writeModel("other");
    await expectRefused(convert(at("source"), at("other"), "q4"), /did not write/);
    expect(readFileSync(at("other", "model.safetensors"))).toEqual(Buffer.from(tinyCheckpoint()));
  });

  it("keeps all but the model's files with force", async () => {
    writeFiles("theirs", {
      "README.md": "mine",
      "chat_template.jinja": "old",
      "model-00001-of-00002.safetensors": "old",
      "config.json": "{}",
    });
    await convert(at("source"), at("theirs"), "q8", { force: true });
    expect(readdirSync(at("theirs")).toSorted()).toEqual(["README.md", "card.json", "config.json", "model.safetensors"]);
    expect(readFileSync(at("theirs", "README.md"), "utf8")).toBe("mine");
  });

  it("may be there and empty", async () => {
    mkdirSync(at("empty"));
    await convert(at("source"), at("empty"), "q4");
    expect(readdirSync(at("empty"))).toContain("model.safetensors");
  });

  it("is refused by export, and an exported one by convert", async () => {
    writeFiles("theirs", { "README.md": "mine" });
    await expectRefused(exportOnnx(at("source"), at("theirs"), "f32"), /fathom export did not write/);
    await exportOnnx(at("source"), at("graphs"), "f32");
    await exportOnnx(at("source"), at("graphs"), "int8");
    await expectRefused(convert(at("source"), at("graphs"), "q4"), /fathom convert did not write/);
  });
});

describe("a source", () => {
  const ways: [what: string, path: () => string][] = [
    ["by its own name", () => at("source")],
    ["by a link", () => at("link")],
    ["by a relative path", () => join(relative(process.cwd(), root), "x", "..", "source")],
    ["by a folder within it", () => at("source", "q4")],
    ["by a folder within a link to it, not made yet", () => at("link", "a", "b")],
    ["by the folder around it", () => root],
  ];
  for (const [what, path] of ways)
    it(`is not converted into itself ${what}, even with force`, async () => {
      symlinkSync(at("source"), at("link"));
      const before = everything();
      for (const force of [false, true]) await expectRefused(convert(at("source"), path(), "q4", { force }), /overlap/);
      await expectRefused(convert(at("link"), path(), "q4"), /overlap/);
      expect(everything()).toEqual(before);
    });
});

describe("a second conversion into the same folder", () => {
  it("leaves nothing of the former model", async () => {
    writeModel("with-template", { "chat_template.jinja": "{{ messages }}", "generation_config.json": "{}", "tokenizer_config.json": "{}" });
    await convert(at("with-template"), at("out"), "q4");
    writeFileSync(at("out", "notes.txt"), "mine");
    expect(readdirSync(at("out"))).toContain("chat_template.jinja");
    await convert(at("source"), at("out"), "q4");
    expect(readdirSync(at("out")).toSorted()).toEqual(["card.json", "config.json", "model.safetensors", "notes.txt"]);
  });
});

describe("before a byte is written", () => {
  it("a folder's name that cannot name a model is refused, and --id gives another", async () => {
    await expectRefused(convert(at("source"), at("my model"), "q4"), /"my model" is no name for a model.*--id/);
    await expectRefused(convert(at("source"), at("x".repeat(65)), "q4"), /no name for a model/);
    await expectRefused(convert(at("source"), at("fine"), "q4", { id: "a/b" }), /"a\/b" is no name/);
    expect(readdirSync(root)).toEqual(["source"]);
    await convert(at("source"), at("my model"), "q4", { id: "tiny" });
    expect(JSON.parse(readFileSync(at("my model", "card.json"), "utf8"))).toMatchObject({ id: "tiny", madeBy: "fathom convert" });
  });

  it("a disk without room is named with what is needed", async () => {
    await expectRefused(
      checkRoom(root, 3e9, async () => 1e9),
      /need 3\.00 GB.*has 1\.00 GB free/,
    );
    await checkRoom(root, 1000);
    await checkRoom(at("not", "yet"), 1000);
    await expectRefused(checkRoom(at("not", "yet"), 1e18), /GB free/);
  });

  it("tensors that are missing are named", async () => {
    writeFileSync(at("source", "config.json"), JSON.stringify({ ...TINY_CONFIG, n_layers_in_coda: 3 }));
    await expect(convert(at("source"), at("a", "b", "out"), "q4")).rejects.toMatchObject({
      code: "invalid_checkpoint",
      message: expect.stringMatching(/lacks \d+ tensors/),
    });
    expect(readdirSync(root)).toEqual(["source"]);
  });
});

describe("a command that is ended", () => {
  const MODULE = fileURLToPath(new URL("../../cli/output-folder.ts", import.meta.url));

  /** Ends a command in the middle of its work. @returns its exit status */
  async function endedBy(signal: NodeJS.Signals): Promise<number | null> {
    const script = `
      import { writeFileSync } from "node:fs";
      import { setTimeout } from "node:timers/promises";
      import { writeFolder } from ${JSON.stringify(MODULE)};
      await writeFolder(${JSON.stringify(at("out"))}, async (folder) => {
        writeFileSync(folder + "/model.safetensors", "half");
        await setTimeout(20_000);
      });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const half = `out.partial-${child.pid}-`;
    while (!readdirSync(root).some((name) => name.startsWith(half) && readdirSync(at(name)).length > 0)) await sleep(10);
    child.kill(signal);
    return ended;
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const)
    it(`by ${signal} leaves nothing behind, and says so by its status`, async () => {
      expect(await endedBy(signal)).toBe(signal === "SIGINT" ? 130 : 143);
      expect(readdirSync(root)).toEqual(["source"]);
    });

  it("by SIGKILL leaves its place as it was and a folder that is named half-made, which the next command removes", async () => {
    await convert(at("source"), at("out"), "q8");
    const before = everything(at("out"));
    await endedBy("SIGKILL");
    expect(everything(at("out"))).toEqual(before);
    const [partial, ...others] = readdirSync(root).filter((name) => name !== "source" && name !== "out");
    expect([partial, others]).toEqual([expect.stringMatching(/^out\.partial-\d+-[0-9a-f]{8}-\w+$/), []]);
    expect(await toldBy(convert(at("source"), at("out"), "q4"))).toEqual([
      expect.stringMatching(new RegExp(`^Removed .*/${partial}, which process \\d+ had half made when it was killed`)),
    ]);
    expect(readdirSync(root).toSorted()).toEqual(["out", "source"]);
    expect(everything(at("out"))).not.toEqual(before);
  });

  it("often by SIGKILL leaves one half-made folder, not one each time, and none beside other targets", async () => {
    writeFiles("out2.partial-1-00000000-elsewhere", { "model.safetensors": "half" });
    for (let n = 0; n < 3; n++) await endedBy("SIGKILL");
    expect(readdirSync(root).filter((name) => name.startsWith("out.partial-"))).toHaveLength(1);
    expect(readdirSync(root).filter((name) => name.startsWith("out2."))).toHaveLength(1);
  });

  it("leaves alone what a living process or another machine is making, and what a former folder held", async () => {
    const ended = spawnSync(process.execPath, ["--version"]).pid;
    const machine = hostname().replace(/\W/g, "_").slice(0, 64);
    const kept = [
      `out.partial-${process.pid}-00000000-${machine}`,
      `out.partial-${ended}-00000001-${machine}.former`,
      `out.partial-${ended}-00000002-another`,
    ];
    for (const name of kept) writeFiles(name, { "model.safetensors": "half" });
    expect(await toldBy(convert(at("source"), at("out"), "q4"))).toEqual([
      expect.stringMatching(/00000001-.*former holds what was in .*out, by process \d+ of/),
      expect.stringMatching(/00000002-another is half-made, by process \d+ of another\. Remove it/),
    ]);
    expect(readdirSync(root).toSorted()).toEqual([...kept, "out", "source"].toSorted());
  });
});

/** What work writes on standard error, line by line, in order of the text. */
async function toldBy(work: Promise<unknown>): Promise<string[]> {
  const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
  try {
    await work;
    return told.mock.calls.map(([line]) => String(line)).toSorted();
  } finally {
    told.mockRestore();
  }
}

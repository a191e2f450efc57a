/**
 * fathom verify: a finding for every file, and an exit status that scripts can use; digests that convert and export write.
 */
import { execFile } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convert } from "../../cli/convert.ts";
import { listFiles } from "../../cli/digests.ts";
import { exportOnnx } from "../../cli/export.ts";
import { diskFolder } from "../../cli/files.ts";
import { verify, type Finding } from "../../cli/verify.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { loadModel } from "../../engine/port/model.ts";
import { writeRandomModel } from "../../bench/checkpoint.ts";
import { TINY_CONFIG } from "../engine/files.ts";

const NANO = fileURLToPath(new URL("../../models/nano", import.meta.url));
const FATHOM = fileURLToPath(new URL("../../cli/fathom.mjs", import.meta.url));

let root: string;
let model: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fathom-verify-"));
  model = join(root, "nano");
  cpSync(NANO, model, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const problems = (findings: readonly Finding[]): string[] =>
  findings.filter(({ problem }) => problem !== undefined).map(({ name, problem }) => `${name}: ${problem}`);

async function problemsOf(change: (file: (name: string) => string) => void): Promise<string[]> {
  change((name) => join(model, name));
  return problems(await verify(model));
}

const load = (path: string): Promise<unknown> =>
  loadModel(
    diskFolder(path, () => undefined),
    createReferenceBackend,
  );

function run(...args: string[]): Promise<{ status: number; stdout: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [FATHOM, "verify", ...args], (error, stdout) => resolve({ status: (error?.code as number) ?? 0, stdout })),
  );
}

describe("verifying a folder", () => {
  it("finds nothing wrong with the shipped model", async () => {
    expect(problems(await verify(NANO))).toEqual([]);
  });

  it("finds a changed bit, and a loader refuses it", async () => {
    const bytes = readFileSync(join(model, "model.safetensors"));
    bytes[300_000]! ^= 4;
    expect(await problemsOf((file) => writeFileSync(file("model.safetensors"), bytes))).toEqual([
      expect.stringMatching(/^model.safetensors: has SHA-256 \w+, the card lists \w+$/),
    ]);
    await expect(load(model)).rejects.toMatchObject({ code: "invalid_checkpoint", param: "model.safetensors" });
  });

  it("finds a missing template, and a loader refuses to answer without it until it is back", async () => {
    const [there, away] = [join(model, "chat_template.jinja"), join(root, "away")];
    renameSync(there, away);
    expect(problems(await verify(model))).toEqual(["chat_template.jinja: is missing"]);
    await expect(load(model)).rejects.toMatchObject({ code: "invalid_tokenizer", param: "chat_template.jinja" });
    renameSync(away, there);
    await load(model);
  });

  it("finds a file that is longer or shorter than listed", async () => {
    expect(await problemsOf((file) => appendFileSync(file("config.json"), " "))).toEqual([
      expect.stringMatching(/^config.json: has 1\d+ bytes, the card lists/),
    ]);
    const found = await problemsOf((file) => truncateSync(file("tokenizer.json"), 100));
    expect(found[1]).toMatch(/^tokenizer.json: has 100 bytes, the card lists 2\d+/);
    expect(found[2], "and that no tokenizer can be made of it").toMatch(/^tokenizer and template: .*tokenizer.json/);
  });

  it("finds a file that is not listed, and a card that lists none or is no card", async () => {
    expect(await problemsOf((file) => writeFileSync(file("generation_config.json"), "{}"))).toEqual([
      expect.stringMatching(/^generation_config.json: is not in card.json's list/),
    ]);
    const { files: _, ...card } = JSON.parse(readFileSync(join(model, "card.json"), "utf8")) as Record<string, unknown>;
    expect(await problemsOf((file) => writeFileSync(file("card.json"), JSON.stringify(card)))).toEqual([
      expect.stringMatching(/^card.json: lists no files/),
    ]);
    expect((await problemsOf((file) => writeFileSync(file("card.json"), "{")))[0]).toMatch(/^card.json: .*is not JSON/);
  });

  it("says where a large file differs", async () => {
    await writeRandomModel(model, { ...TINY_CONFIG, n_embd: 256, vocab_size: 2048 }, "f32");
    const card = JSON.parse(readFileSync(join(model, "card.json"), "utf8")) as object;
    writeFileSync(join(model, "card.json"), JSON.stringify({ ...card, files: await listFiles(model) }));
    const bytes = readFileSync(join(model, "model.safetensors"));
    bytes[(1 << 20) + 5]! ^= 1;
    expect((await problemsOf((file) => writeFileSync(file("model.safetensors"), bytes)))[0]).toMatch(/it differs from byte 1048576 on$/);
  });
});

describe("the command", () => {
  it("prints a line a file and ends with status 0 or 1", async () => {
    const fine = await run(model);
    expect(fine.status).toBe(0);
    expect(fine.stdout.split("\n").filter((line) => line.startsWith("ok"))).toHaveLength(9);
    rmSync(join(model, "tokenizer.json"));
    const { status, stdout } = await run(model, "--json");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      findings: expect.arrayContaining([{ name: "tokenizer.json", problem: "is missing" }]),
    });
  });

  it("lists the files as they are with --write, which makes a change by hand load", async () => {
    appendFileSync(join(model, "chat_template.jinja"), " ");
    await expect(load(model)).rejects.toMatchObject({ code: "invalid_tokenizer" });
    expect((await run(model, "--write")).status).toBe(0);
    await load(model);
  });

  it("writes no list for files that no model can be made of", async () => {
    const before = readFileSync(join(model, "card.json"), "utf8");
    writeFileSync(join(model, "tokenizer.json"), "{");
    expect((await run(model, "--write")).status).toBe(1);
    expect(readFileSync(join(model, "card.json"), "utf8")).toBe(before);
  });
});

describe("what the commands write", () => {
  it("lists every file, so that verify finds nothing wrong", async () => {
    await writeRandomModel(model, { ...TINY_CONFIG, vocab_size: 1024 }, "f32");
    rmSync(join(model, "card.json"));
    await convert(model, join(root, "q4"), "q4");
    await convert(model, join(root, "f32"), "f32");
    await exportOnnx(join(root, "f32"), join(root, "graphs"), "f32");
    for (const folder of ["q4", "f32", "graphs"]) {
      const findings = await verify(join(root, folder));
      expect(problems(findings), folder).toEqual([]);
      expect(findings.map(({ name }) => name)).toEqual(expect.arrayContaining(["config.json", "tokenizer.json", "chat_template.jinja"]));
    }
  });

  it("is refused as a source once it is damaged", async () => {
    appendFileSync(join(model, "model.safetensors"), "x");
    await expect(exportOnnx(model, join(root, "graphs"), "f32")).rejects.toMatchObject({ code: "invalid_checkpoint" });
  });
});

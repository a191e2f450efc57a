/**
 * fathom train, from lines to answers: a few labelled rows over a base whose states are the shipped model's, decided by the
 * folder that comes of them.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { checkoutCommand } from "../../bench/fathom.ts";
import { readCommandLine } from "../../cli/command-line.ts";
import { listFiles } from "../../cli/digests.ts";
import { exitStatus } from "../../cli/explain.ts";
import { loadNodeModel } from "../../cli/models.ts";
import { addPlayground } from "../../cli/playground.ts";
import { verify } from "../../cli/verify.ts";
import { loadModel } from "../../engine/port/model.ts";
import { urlFolder } from "../../folders/url.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { createApp } from "../../worker/app.ts";
import { modelDetails } from "../../worker/models.ts";
import { safetensors } from "../engine/files.ts";

const folder = mkdtempSync(join(tmpdir(), "fathom-train-"));
const nano = fileURLToPath(new URL("../../models/nano", import.meta.url));
const [base, out, lines] = ["base", "mine", "labels.jsonl"].map((name) => join(folder, name)) as [string, string, string];
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function fathom(...argv: string[]): Promise<{ status: number; out: string; said: string }> {
  const written: Record<"log" | "error", string> = { log: "", error: "" };
  for (const to of ["log", "error"] as const) vi.spyOn(console, to).mockImplementation((line: string) => void (written[to] += `${line}\n`));
  vi.spyOn(console, "table").mockImplementation((rows: unknown) => void (written.log += `${JSON.stringify(rows)}\n`));
  try {
    const request = await readCommandLine(checkoutCommand, argv);
    if (request.kind === "run") await request.command.run!({ args: request.args as never, rawArgs: argv, cmd: request.command });
    return { status: 0, out: written.log, said: written.error };
  } catch (error) {
    return { status: exitStatus(error), out: written.log, said: (error as Error).message };
  }
}

const ROWS = ["True", "not True", "False and True", "True or False", "not not True", "True and True", "False or False"];
const MOVES = ["Take 3 steps left.", "Turn around.", "Take 1 step.", "Turn left. Take 2 steps.", "Take 9 steps right.", "Turn right."];

beforeAll(async () => {
  mkdirSync(base);
  for (const name of readdirSync(nano).filter((file) => file !== "eval")) cpSync(join(nano, name), join(base, name));
  const { files: _files, ...card } = JSON.parse(readFileSync(join(nano, "card.json"), "utf8"));
  const { n_embd: width } = JSON.parse(readFileSync(join(nano, "config.json"), "utf8")) as { n_embd: number };
  const identity = Float32Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0));
  const head = { dtype: "F32", shape: [width, width], data_offsets: [0, identity.byteLength] };
  writeFileSync(join(base, "match.safetensors"), safetensors({ both: head }, new Uint8Array(identity.buffer)));
  const markers = { begin: 0, question: 1, option: 2, fits: 3, yes: 4 };
  const match = { question: "both", option: "both", reads: "input", scale: 10, candidates: 0 };
  const decided = { ...card, id: "base", decisions: { form: "branches", markers, match } };
  writeFileSync(join(base, "card.json"), JSON.stringify({ ...decided, files: await listFiles(base) }));
  const labelled = [...ROWS.map((input) => ({ input, label: "boolean" })), ...MOVES.map((input) => ({ input, label: "navigation" }))];
  writeFileSync(lines, labelled.map((row) => JSON.stringify(row)).join("\n"));
});

describe("fathom train", () => {
  it("makes a folder of a few kilobytes beside its base, and says what held-out rows make of it", async () => {
    const { status, out: printed, said } = await fathom("train", lines, "--base", base, "--out", out);
    expect(said + printed, printed).toMatch(/labels: 2 labels, 13 rows\n {2}held out \(5 folds\): (9\d|100)\.\d % right of 13/);
    expect(status).toBe(0);
    expect(printed).toContain("by the labels' texts alone");
    expect(printed).toContain('{"label":"boolean","boolean":7,"navigation":0}');
    expect(readdirSync(out).toSorted()).toEqual(["card.json", "labels.safetensors"]);
    expect(statSync(join(out, "labels.safetensors")).size).toBeLessThan(8_000);
    expect((await verify(out)).filter(({ problem }) => problem !== undefined)).toEqual([]);
  });

  it("writes the same bytes again, over its own folder alone", async () => {
    const first = readFileSync(join(out, "labels.safetensors"));
    const { status, out: printed } = await fathom("train", lines, "--base", base, "--out", out, "--json");
    expect(status).toBe(0);
    expect(JSON.parse(printed)).toMatchObject({ model: "mine", bytes: first.length, questions: [{ labels: 2, heldOut: { n: 13 } }] });
    expect(readFileSync(join(out, "labels.safetensors")).equals(first)).toBe(true);
  });

  it("begins a router whose routes are its labels, asked in the words that were trained on", async () => {
    const routesOf = async (model: string): Promise<string> => {
      const app = join(folder, `router-of-${basename(model)}`);
      const { status, said } = await fathom("init", app, "--template", "router", "--model", model);
      expect(status, said).toBe(0);
      expect(readdirSync(join(app, "assets")).toSorted()).toEqual(["base", basename(model)].toSorted());
      expect(readFileSync(join(app, "test/worker.test.mjs"), "utf8")).toContain("goes to one of the routes");
      expect(readdirSync(app)).not.toContain("labelled");
      return readFileSync(join(app, "src/routes.ts"), "utf8");
    };
    const routes = await routesOf(out);
    expect(routes).toContain('  { name: "boolean", option: "boolean" },\n  { name: "navigation", option: "navigation" },\n];');
    expect(routes).toContain('QUESTION: string = "";');
    const { training } = JSON.parse(readFileSync(join(out, "card.json"), "utf8"));
    expect(routes).toContain(`LEAST_FIT = ${training.questions[0].threshold.toFixed(3)};`);

    const choices = [{ value: 'a "walk"' }, { value: "logic", description: "true or false" }];
    const asked = { type: "choice", instructions: "What is it?", choices };
    const rows = [...ROWS.map((input) => [input, "logic"]), ...MOVES.map((input) => [input, 'a "walk"'])];
    const [file, other] = [join(folder, "asked.jsonl"), join(folder, "asked")];
    writeFileSync(file, rows.map(([input, gold]) => JSON.stringify({ input, question: asked, gold })).join("\n"));
    expect((await fathom("train", file, "--base", base, "--out", other)).status).toBe(0);
    const own = await routesOf(other);
    expect(own).toContain('option: "a \\"walk\\""');
    expect(own).toContain('option: "logic: true or false"');
    expect(own).toContain('QUESTION: string = "What is it?";');
  });

  it("runs in the playground's page, which finds the base beside it", async () => {
    const app = createApp({ model: await loadNodeModel(out, "wasm") });
    addPlayground(app, out);
    vi.stubGlobal("fetch", async (url: string, options: RequestInit) => app.request(new URL(url).pathname, options));
    const inPage = urlFolder("http://page.test/playground/model/");
    const model = await loadModel(inPage, createNodeWasmBackend).finally(() => vi.unstubAllGlobals());
    expect(model.decisions).toMatchObject({ name: "branches" });
    for (const path of ["base/eval/liar.jsonl", "base/.hidden.json", "base/../mine/card.json", "other/card.json"])
      expect((await app.request(`/playground/${path}`)).status, path).toBe(404);
  });

  it("begins a Worker that has its base among its assets", async () => {
    const worker = join(folder, "worker");
    const { status, out: made } = await fathom("init", worker, "--template", "router", "--model", out, "--json");
    expect(status).toBe(0);
    const { files } = JSON.parse(made) as { files: string[] };
    for (const file of ["assets/mine/labels.safetensors", "assets/base/model.safetensors", "assets/base/config.json"])
      expect(files).toContain(file);
    const model = await loadNodeModel(join(worker, "assets/mine"), "wasm");
    expect(model.card.id).toBe("mine");
  });

  it("is decided by at once: by the labels that it was trained on, where nobody asks otherwise", async () => {
    const { out: printed } = await fathom("decide", "not False", "--model", out);
    expect(printed).toMatch(/^\s*[\d.]+ % {2}boolean\n\s*[\d.]+ % {2}navigation\n$/);
    const asked = await fathom(
      "decide",
      "Take 4 steps.",
      "--model",
      out,
      "--question",
      "Which?",
      "--option",
      "boolean",
      "--option",
      "navigation",
      "--json",
    );
    expect(JSON.parse(asked.out).answers[0]).toMatchObject({ choice: "navigation", x_iterations: 1 });
    const model = await loadNodeModel(out, "wasm");
    const service = { limits: { maxIterations: 9, maxCompletionTokens: 9 }, price: {} } as Parameters<typeof modelDetails>[1];
    expect(modelDetails({ id: "mine", model }, service)).toMatchObject({
      decisions: { form: "branches", labels: [{ type: "choice", instructions: null, labels: ["boolean", "navigation"] }] },
    });
  });

  it("finds its base beside it, and misses it by name", async () => {
    const moved = join(folder, "elsewhere");
    mkdirSync(moved);
    renameSync(out, join(moved, "mine"));
    const { status, said } = await fathom("decide", "not False", "--model", join(moved, "mine"));
    expect([status, said]).toEqual([1, expect.stringContaining("needs its base base, but it is not there")]);
    renameSync(join(moved, "mine"), out);
  });

  it.each<[RegExp, string[]]>([
    [/--base is missing/, ["--out", out]],
    [/--out is missing/, ["--base", base]],
    [/no match; use one whose card has decisions\.match/, ["--base", "nano", "--out", join(folder, "other")]],
    [/holds own labels over another base/, ["--base", out, "--out", join(folder, "other")]],
    [/both called base; write to a folder of another name/, ["--base", base, "--out", join(folder, "sub", "base")]],
    [/"a b" is no name for a model/, ["--base", base, "--out", join(folder, "a b")]],
    [/overlap/, ["--base", base, "--out", join(base, "inner")]],
  ])("refuses by name: %s", async (says, argv) => {
    const { status, said } = await fathom("train", lines, ...argv);
    expect(said).toMatch(says);
    expect(status).toBe(2);
  });
});

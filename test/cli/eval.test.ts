import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readProblems, score, summarise, type Problem } from "../../cli/eval-score.ts";
import { loadNodeModel, modelPath } from "../../cli/models.ts";
import { NEVER_EXIT, parseExitRule } from "../../engine/exit-rule.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-eval-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe("problems", () => {
  it("are read from several files, with the file's name for a task that has none", async () => {
    const a = await file("sums.jsonl", '{"prompt": "1+1", "answer": "2"}\n\n{"prompt": "2+2", "answer": "4", "level": 2}\n');
    const b = await file("b.jsonl", '{"prompt": "x", "answer": "y", "task": "letters", "level": 1}');
    expect((await readProblems([a, b])).map((p) => [p.task, p.level])).toEqual([
      ["sums", undefined],
      ["sums", 2],
      ["letters", 1],
    ]);
    expect(await readProblems([a], 1)).toHaveLength(2);
  });

  it("that are malformed are named by file and line", async () => {
    const bad = await file("bad.jsonl", '{"prompt": "1+1", "answer": "2"}\n{"prompt": 3}\n');
    await expect(readProblems([bad])).rejects.toMatchObject({ code: "invalid_request", message: expect.stringContaining("bad.jsonl:2") });
    await expect(readProblems([join(folder, "none.jsonl")])).rejects.toMatchObject({ message: expect.stringContaining("Cannot read") });
    await expect(readProblems([await file("empty.jsonl", "\n")])).rejects.toMatchObject({
      message: expect.stringContaining("no problems"),
    });
  });
});

describe("scoring the shipped model", () => {
  const problem: Problem = {
    task: "arithmetic",
    level: 3,
    prompt: "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?",
    answer: "5",
  };

  it("counts the work of every row, and less of it with an exit rule", async () => {
    const model = await loadNodeModel("nano", "wasm");
    const full = await score(model, problem, 16, NEVER_EXIT);
    expect(full).toMatchObject({ right: true, rowIterations: 16 * full.rows, firstIterations: 16 });
    const resting = await score(model, problem, 16, parseExitRule("rest-wake:0.2:0.3"));
    expect(resting.right).toBe(true);
    expect(resting.rowIterations).toBeLessThan(full.rowIterations);
    const [row] = summarise(
      [problem, { ...problem, answer: "6" }],
      [full, await score(model, { ...problem, answer: "6" }, 16, NEVER_EXIT)],
      16,
    );
    expect(row).toMatchObject({ task: "arithmetic", level: 3, n: 2, accuracy: 0.5, meanIterations: 16 });
  });

  it("names a model that is not there", () => {
    expect(() => modelPath("nowhere")).toThrow(expect.objectContaining({ code: "invalid_request", param: "--model" }));
  });
});

import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { exitStatus, explain } from "../../cli/explain.ts";
import { withProgress } from "../../cli/progress.ts";
import { watchedFolder } from "../../cli/watched-folder.ts";
import { readPrompt } from "../../cli/prompt.ts";
import { FathomError } from "../../engine/errors.ts";

describe("progress off a terminal", () => {
  const linesOf = async (steps: number, msAStep: number, unit = "answers"): Promise<string[]> => {
    const lines: string[] = [];
    let now = 0;
    const output = { isTerminal: false, write: (line: string) => lines.push(line), nowMs: () => now };
    const result = await withProgress(
      steps,
      unit,
      (step) => {
        for (let i = 0; i < steps; i++) {
          now += msAStep;
          step();
        }
        return "done";
      },
      output,
    );
    expect(result).toBe("done");
    return lines;
  };

  it("is silent for two seconds, then a line every ten", async () => {
    expect(await linesOf(10, 100)).toEqual([]);
    expect(await linesOf(100, 250)).toEqual([
      "8/100 answers, 8 %, about 23 s left",
      "48/100 answers, 48 %, about 13 s left",
      "88/100 answers, 88 %, about 3 s left",
    ]);
  });

  it("of megabytes says how fast they come", async () => {
    expect((await linesOf(100, 250, "MB read")).slice(0, 1)).toEqual(["8/100 MB read, 8 %, 4 MB/s, about 23 s left"]);
  });

  it("of a model's loading counts what is read of its weights, shard by shard", async () => {
    const bytes = (n: number) => ({ name: "x", bytes: n * 1e6, open: () => Readable.from([Buffer.alloc(n * 5e5), Buffer.alloc(n * 5e5)]) });
    const folder = { name: "m", readText: async () => undefined, open: async (name: string) => (name === "none" ? undefined : bytes(4)) };
    const told: [number, number][] = [];
    const watched = watchedFolder(folder, (done, total) => told.push([done, total]));
    for (const name of ["a", "b"]) expect((await (await watched.open(name))!.open()[Symbol.asyncIterator]().next()).done).toBe(false);
    for (const name of ["a", "b"]) for await (const chunk of (await watched.open(name))!.open()) expect(chunk.length).toBe(2e6);
    expect(told.slice(-4).map(([done]) => done)).toEqual([2, 4, 6, 8]);
    expect(await watched.open("none")).toBeUndefined();
  });

  it("passes on what the work throws", async () => {
    await expect(withProgress(1, "answers", () => Promise.reject(new Error("no room")))).rejects.toThrow("no room");
  });
});

describe("the prompt", () => {
  const stdin = (text: string, isTTY: boolean) => Object.assign(Readable.from([Buffer.from(text)]), { isTTY });
  const heard = async (argument: string | undefined, text: string, isTTY: boolean) => {
    const said: string[] = [];
    return { prompt: await readPrompt(argument, { stdin: stdin(text, isTTY), say: (line) => said.push(line) }), said };
  };

  it("is read from standard input where it is missing or -, and a terminal is told so", async () => {
    expect(await heard("Who?", "not read", true)).toEqual({ prompt: "Who?", said: [] });
    expect(await heard(undefined, "Who?\n", false)).toEqual({ prompt: "Who?\n", said: [] });
    expect(await heard("-", "Who?\n", true)).toEqual({ prompt: "Who?\n", said: [expect.stringContaining("Waiting for the prompt")] });
  });

  it("that is empty is refused", async () => {
    for (const argument of ["", "  ", undefined])
      await expect(heard(argument, " \n", false)).rejects.toMatchObject({ code: "empty_prompt" });
  });
});

describe("errors on the command line", () => {
  it("are one sentence, and tell wrong calls from failures by their status", () => {
    const refused = new FathomError("invalid_request", "--limit is x.", "--limit");
    expect([exitStatus(refused), explain("fathom eval", refused)]).toEqual([2, "fathom eval: --limit is x."]);
    expect(exitStatus(new FathomError("unavailable", "No WebGPU here."))).toBe(1);
    const missing = Object.assign(new Error("ENOENT: no such file or directory, open '/a/b'"), { code: "ENOENT", path: "/a/b" });
    expect([exitStatus(missing), explain("fathom eval", missing)]).toEqual([1, "fathom eval: no such file or folder: /a/b."]);
    expect(explain("fathom eval", new TypeError("x is undefined"))).not.toMatch(/\n|at /);
    expect(explain("fathom eval", "text")).toContain("text");
  });
});

/** The line that --save keeps of a run. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { benchCommand } from "../../bench/commands/index.ts";
import { describeCommit, describeMachine, saveRun } from "../../bench/results.ts";
import type { Command } from "../../cli/command.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-results-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("a kept run", () => {
  it("is one JSON line a run, with commit and machine", async () => {
    const machine = describeMachine();
    expect(machine).toMatchObject({ cpu: expect.any(String), node: process.versions.node, os: expect.stringContaining(process.platform) });
    const run = { bench: "ways", date: "2026-11-27T00:00:00Z", commit: "abc", isDirty: false, options: { limit: "3" }, machine };
    await saveRun({ ...run, result: { rows: [1] } }, folder);
    const path = await saveRun({ ...run, result: { rows: [2] } }, folder);
    expect(path).toBe(join(folder, "ways.jsonl"));
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([1, 2].map((n) => ({ ...run, result: { rows: [n] } })));
  });

  it("names its commit, and is refused where there is none", async () => {
    await expect(describeCommit(folder)).rejects.toMatchObject({ code: "unavailable", param: "--save" });
    const here = await describeCommit().catch((error: { code: string }) => error.code); // a tree without .git, or without git
    if (typeof here === "string") expect(here).toBe("unavailable");
    else expect(here).toMatchObject({ commit: expect.stringMatching(/^[0-9a-f]{40}$/), isDirty: expect.any(Boolean) });
  });
});

it("every bench can print JSON and keep its run", () => {
  const benches = Object.entries(benchCommand.subCommands as Record<string, Command>);
  const without = benches.filter(([, { args }]) => args["json"] === undefined || args["save"] === undefined).map(([name]) => name);
  expect(without).toEqual([]);
});

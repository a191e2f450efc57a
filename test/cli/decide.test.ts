/** fathom decide: a question from the command line, or requests from a file, answered as the server answers them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { readCommandLine } from "../../cli/command-line.ts";
import { exitStatus } from "../../cli/explain.ts";
import { checkoutCommand } from "../../bench/fathom.ts";

const folder = mkdtempSync(join(tmpdir(), "fathom-decide-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly said: string;
}

/** What a command line does, without a process of its own. */
async function fathom(...argv: string[]): Promise<Ended> {
  const written: Record<"log" | "error", string> = { log: "", error: "" };
  for (const to of ["log", "error"] as const) vi.spyOn(console, to).mockImplementation((line: string) => void (written[to] += `${line}\n`));
  try {
    const request = await readCommandLine(checkoutCommand, argv);
    if (request.kind === "run") await request.command.run!({ args: request.args as never, rawArgs: argv, cmd: request.command });
    return { status: 0, out: written.log, said: written.error };
  } catch (error) {
    return { status: exitStatus(error), out: written.log, said: (error as Error).message };
  }
}

function fileOf(...lines: string[]): string {
  const path = join(folder, "requests.jsonl");
  writeFileSync(path, lines.join("\n"));
  return path;
}

describe("an option that may be given several times", () => {
  it("is a list, in the order given, whichever way its values are written", async () => {
    const request = await readCommandLine(checkoutCommand, [
      "decide",
      "in",
      "--option",
      "b",
      "--question",
      "q",
      "--option=a",
      "--option",
      "-5",
    ]);
    expect(request).toMatchObject({ kind: "run", args: { input: "in", question: "q", option: ["b", "a", "-5"] } });
  });

  it("does not make the others so", async () => {
    const twice = readCommandLine(checkoutCommand, ["decide", "--question", "a", "--question", "b"]);
    await expect(twice).rejects.toMatchObject({ message: expect.stringContaining("given twice") });
  });
});

describe("one question", () => {
  const INPUT = "Ada lies. Bo says Ada lies.";

  it("is answered with the most probable option first, and with what it took", async () => {
    const { status, out, said } = await fathom(
      "decide",
      INPUT,
      "--question",
      "Who lies?",
      "--option",
      "Ada",
      "--option",
      "Bo",
      "--iterations",
      "4",
    );
    expect(status).toBe(0);
    const lines = out.trim().split("\n");
    expect(new Set(lines.map((line) => line.split("%  ")[1]))).toEqual(new Set(["Ada", "Bo"]));
    const [first, second] = lines.map((line) => Number.parseFloat(line)) as [number, number];
    expect(first).toBeGreaterThanOrEqual(second);
    expect(first + second).toBeCloseTo(100, 0);
    expect(said).toMatch(/^iterations: [1-4], settled at \d+; fit .*; by likelihood\n/);
  });

  it("has a word for a low fit, and says so where the input has none of the model's forms", async () => {
    const decider = ["--model", "models/decider", "--question", "What is it about?"];
    const low = await fathom("decide", "I never got my refund", ...decider, "--option", "weather", "--option", "pancakes");
    expect(low.said).toMatch(/; fit 0\.\d+ \(low: probably none of these\); by branches/);
    const good = await fathom("decide", "I never got my refund", ...decider, "--option", "refund", "--option", "pancakes");
    expect(good.said).toMatch(/; fit 0\.\d+; by branches/);
    const off = await fathom("decide", "Hello", "--question", "Who?", "--option", "Yes", "--option", "No");
    expect(off.said).toContain("nano was trained on prompts of 4 forms");
  });

  it("gives the server's response with --json", async () => {
    const { out } = await fathom(
      "decide",
      INPUT,
      "--question",
      "How bad?",
      "--kind",
      "score",
      "--option",
      "low",
      "--option",
      "high",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({
      model: "nano",
      answers: [{ type: "score", probabilities: [{ label: "low" }, { label: "high" }] }],
    });
  });

  it.each<[string[], RegExp]>([
    [["in"], /--question is missing/],
    [["in", "--question", "q", "--option", "a"], /needs two or more options/],
    [["in", "--question", "q", "--kind", "predicate", "--option", "a"], /A predicate has no options/],
    [["in", "--question", "q", "--kind", "noul"], /--kind is "noul"; use predicate, choice, score/],
    [["in", "--question", "q", "--iterations", "0"], /--iterations/],
    [["in", "--file", "x"], /leave the input out/],
    [["--file", "x", "--option", "a"], /leave --option out/],
  ])("that is wrong is refused: %j", async (argv, message) => {
    const { status, said } = await fathom("decide", ...argv);
    expect({ status, said }).toEqual({ status: 2, said: expect.stringMatching(message) });
  });
});

describe("a file of requests", () => {
  it("is answered line by line, each in its own shape", async () => {
    const file = fileOf(
      '{"input":"a","questions":[{"type":"predicate","instructions":"b","name":"n"}]}',
      "",
      '{"model":"any","state":{"x":1.0},"questions":{"10":{"type":"noul"},"2":{"type":"noul"}}}',
    );
    const { status, out } = await fathom("decide", "--file", file);
    expect(status).toBe(0);
    const [first, second] = out.trim().split("\n");
    expect(JSON.parse(first!)).toMatchObject({ model: "nano", answers: [{ type: "predicate", name: "n" }] });
    expect([...second!.matchAll(/"(\w+)":\{"type":"noul"/g)].map((match) => match[1])).toEqual(["10", "2"]);
  });

  it.each([
    ['{"input":3}', "input must be a text or a list of messages and calls, not 3."],
    ["{", "line 2: "],
  ])("that holds a wrong line is refused before any is answered: %s", async (line, message) => {
    const { status, out, said } = await fathom(
      "decide",
      "--file",
      fileOf('{"input":"a","questions":[{"type":"predicate","instructions":"b"}]}', line),
    );
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(said).toContain(message);
  });
});

/** What a command line means, without running it; a few whole runs show exit status and streams. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { readCommandLine } from "../../cli/command-line.ts";
import type { Command } from "../../cli/command.ts";
import { fathomCommand } from "../../cli/fathom.ts";
import { checkoutCommand } from "../../bench/fathom.ts";
import { nearest } from "../../engine/nearest.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const Q = "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?";
const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string };

async function argumentsOf(...argv: string[]): Promise<Record<string, unknown>> {
  const request = await readCommandLine(checkoutCommand, argv);
  if (request.kind !== "run") throw new Error(`${argv.join(" ")} prints ${request.text}`);
  return request.args;
}

async function printed(...argv: string[]): Promise<string> {
  const request = await readCommandLine(checkoutCommand, argv);
  if (request.kind !== "print") throw new Error(`${argv.join(" ")} runs ${request.name}`);
  return request.text;
}

async function refusal(...argv: string[]): Promise<string> {
  const error = await readCommandLine(checkoutCommand, argv).then(
    (request) => ({ message: `accepted: ${JSON.stringify(request)}`, code: undefined }),
    (e: { message: string; code: string }) => e,
  );
  expect(error, argv.join(" ")).toMatchObject({ code: "invalid_request" });
  return error.message;
}

/** Every command that runs something, by what is typed to reach it. */
async function leaves(command: Command = checkoutCommand, path: string[] = []): Promise<[string[], Command][]> {
  if (command.subCommands === undefined) return [[path, command]];
  const inner = Object.entries(command.subCommands as Record<string, Command | (() => Promise<Command>)>);
  const found = inner.map(async ([name, sub]) => leaves(typeof sub === "function" ? await sub() : sub, [...path, name]));
  return (await Promise.all(found)).flat();
}

describe("an option that no command declares", () => {
  it.each([
    [["ask", "--iteration", "1", Q], "--iterations"],
    [["ask", Q, "--iteration=1"], "--iterations"],
    [["ask", "--max_tokens", "4", Q], "--max-tokens"],
    [["ask", "--maxTokens", "4", Q], "--max-tokens"],
    [["ask", "-iterations", "4", Q], "--iterations"],
    [["ask", "--jsno", Q], "--json"],
    [["ask", "--no-jsn", Q], "--no-json"],
    [["ask", Q, "--hlep"], "--help"],
    [["serve", "--api-key", "secret"], "--api-keys"],
    [["serve", "--apikeys=secret"], "--api-keys"],
    [["serve", "--prot", "80"], "--port"],
    [["eval", "--iteraions", "1"], "--iterations"],
    [["bench", "decode", "--round", "1"], "--rounds"],
    [["bench", "decode", "--no-worker"], "--no-workerd"],
    [["calibrate", "--dryrun"], "--dry-run"],
    [["convert", "a", "b", "--quantize", "q4"], "--quant"],
  ])("%j is refused, and %s is what was meant", async (argv, meant) => {
    expect(await refusal(...argv)).toContain(`Did you mean ${meant}?`);
  });

  it("that resembles none is answered with those that there are", async () => {
    const message = await refusal("eval", "--depths", "1,x");
    for (const option of ["--depths", "--model", "--data", "--iterations", "--card"]) expect(message).toContain(option);
    expect(await refusal("ask", "-x", Q)).toContain("after --");
  });

  it("is refused by every command, also where its value would be a word of its own", async () => {
    for (const [path] of await leaves())
      for (const argv of [["--unheard-of"], ["--unheard-of", "1"], ["--unheard-of=1"], ["--no-unheard-of"], ["-u"], ["--constructor"]])
        expect(await refusal(...path, ...argv), `${path.join(" ")} ${argv.join(" ")}`).toContain(argv[0]!.split("=")[0]);
  });

  it("before the command is refused, too", async () => {
    expect(await refusal("--port", "80", "serve")).toContain("Options follow the command");
    expect(await refusal("bench", "--rounds", "3", "decode")).toContain("Options follow the command");
    expect(await refusal("--versoin")).toContain("Did you mean --version?");
  });
});

describe("values", () => {
  it("are taken as --x y, --x=y, --x=y=z and from negative numbers", async () => {
    expect(await argumentsOf("ask", Q, "--iterations", "4")).toMatchObject({ prompt: Q, iterations: "4", json: false });
    expect(await argumentsOf("ask", "--iterations=4", Q)).toMatchObject({ prompt: Q, iterations: "4" });
    expect(await argumentsOf("ask", "--model=a=b", Q)).toMatchObject({ model: "a=b" });
    expect(await argumentsOf("ask", "--iterations", "-1", Q)).toMatchObject({ prompt: Q, iterations: "-1" });
  });

  it.each([
    [["ask", Q, "--iterations"]],
    [["ask", Q, "--iterations="]],
    [["ask", Q, "--iterations", ""]],
    [["ask", "--iterations", "--json", Q]],
    [["ask", "--iterations", "--", Q]],
    [["serve", "--api-keys", ""]],
    [["serve", "--api-keys"]],
  ])("that are missing are named: %j", async (argv) => {
    expect(await refusal(...argv)).toMatch(/^--(iterations|api-keys) needs a value: /);
  });

  it("are wrong for a switch, but for true and false", async () => {
    expect(await argumentsOf("ask", Q, "--json=true")).toMatchObject({ json: true });
    expect(await argumentsOf("bench", "decode", "--workerd=false")).toMatchObject({ workerd: false });
    expect(await argumentsOf("bench", "decode", "--no-workerd")).toMatchObject({ workerd: false });
    expect(await refusal("ask", Q, "--json=yes")).toContain("--json takes no value");
    expect(await refusal("bench", "decode", "--no-workerd=true")).toContain("takes no value");
    expect(await refusal("ask", Q, "--no-iterations")).toContain("--no-iterations");
  });

  it("are given once", async () => {
    expect(await refusal("ask", Q, "--iterations", "4", "--iterations=8")).toBe("--iterations is given twice; give it once.");
    expect(await refusal("bench", "decode", "--workerd", "--no-workerd")).toContain("--workerd is given twice");
  });

  it("that are counts are digits alone", () => {
    expect(wholeNumber("--n", "12", 1, 64)).toBe(12);
    for (const value of ["x", "", "1.5", "1e1", "0x10", "1_0", "65", "0", "-1", "NaN", "Infinity", "4 4"])
      expect(() => wholeNumber("--n", value, 1, 64), value).toThrow("use a whole number from 1 to 64");
  });

  it("that are lists have no empty part, and no part that does not parse", () => {
    expect(wholeNumbers("--n", "1, 4,4,8", 1, 64)).toEqual([1, 4, 8]);
    expect(list("--data", "a, b")).toEqual(["a", "b"]);
    for (const value of ["1,x", "1,,2", ",", "1,", "1;2"]) expect(() => wholeNumbers("--n", value, 1, 64), value).toThrow("--n is");
    expect(() => list("--data", "a,,b")).toThrow("a part of it is empty");
  });
});

describe("words", () => {
  it("beyond the prompt are refused with the hint to quote", async () => {
    const message = await refusal("ask", ...Q.split(" "));
    expect(message).toContain(`Put the prompt in quotes: fathom ask "${Q}"`);
    expect(await refusal("serve", "nano")).toContain("options only");
    expect(await refusal("convert", "a", "b", "c")).toContain("SOURCE OUT");
  });

  it("that are missing are named", async () => {
    expect(await refusal("convert", "a")).toContain("OUT is missing");
    expect(await refusal("export")).toContain("MODEL is missing");
  });

  it("may begin with a dash, and after -- may be anything", async () => {
    for (const text of ["-5 + 8 = ?", "-5", "- Ada lies.", "-x is 3. What is x?", "-"])
      expect(await argumentsOf("ask", text, "--json"), text).toMatchObject({ prompt: text, json: true });
    for (const text of ["--help", "-h", "--json", "--version"])
      expect(await argumentsOf("ask", "--json", "--", text), text).toMatchObject({ prompt: text, json: true });
    expect(await refusal("ask", "--iterations 4")).toContain("--iterations 4".split(" ")[0]);
    expect(await refusal("ask", "--", "a", "b")).toContain("one word too many");
  });
});

describe("commands", () => {
  it("that do not exist are answered with the nearest", async () => {
    expect(await refusal("aks", Q)).toContain("Did you mean fathom ask?");
    expect(await refusal("bench", "decod")).toContain("Did you mean fathom bench decode?");
    expect(await refusal("constructor")).toContain("Commands: ask, serve");
    expect(await refusal("bench")).toContain("kernels, decode");
    expect(await refusal("help", "srve")).toContain("Did you mean fathom serve?");
  });

  it("have a help page with an example of theirs, wherever help is asked for", async () => {
    for (const [path, command] of await leaves()) {
      const name = `fathom ${path.join(" ")}`;
      const page = await printed(...path, "--help");
      expect(command.examples?.length, name).toBeGreaterThan(0);
      for (const example of command.examples ?? []) {
        expect(example).toContain(name);
        expect(page).toContain(example);
      }
      expect(page).toContain(`USAGE ${name}`);
      for (const [option, { type }] of Object.entries(command.args as Record<string, { type: string }>))
        expect(page).toContain(type === "positional" ? option.toUpperCase() : `--${option}`);
      // oxlint-disable-next-line no-control-regex
      expect(page).not.toMatch(/\u001B/);
      for (const argv of [
        [...path, "-h"],
        ["help", ...path],
        [...path, "--whatever", "-h"],
        ["--help", ...path],
      ])
        expect(await printed(...argv), argv.join(" ")).toBe(page);
    }
    expect(await printed("bench", "--help")).toContain("Use fathom bench <command> --help");
    expect(await printed()).toContain("COMMANDS");
  });

  it("of the package are all in its help, which offers nothing that only a checkout has", async () => {
    const request = await readCommandLine(fathomCommand(), ["--help"]);
    expect(request).toMatchObject({ kind: "print", text: expect.stringContaining("COMMANDS") });
    const { text } = request as { text: string };
    for (const [path] of await leaves(fathomCommand())) expect(text).toContain(path.join(" "));
    expect(text).not.toContain("bench");
    await expect(readCommandLine(fathomCommand(), ["bench"])).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("all have --json, for programs that read what they say", async () => {
    const others = (await leaves()).filter(([path]) => path[0] !== "embed"); // what it says is lines of JSON in any case
    for (const [path, command] of others) expect(Object.keys(command.args as object), path.join(" ")).toContain("json");
  });

  it("have examples that parse", async () => {
    for (const [, command] of await leaves())
      for (const example of command.examples ?? []) {
        const words = [
          ...example
            .split("|")
            .at(-1)!
            .matchAll(/"([^"]*)"|(\S+)/g),
        ].map((m) => m[1] ?? m[2]!);
        expect(await argumentsOf(...words.slice(1)), example).toBeDefined();
      }
  });

  it("tell the version", async () => {
    for (const argv of [["--version"], ["-v"], ["ask", "--version"], ["bench", "decode", "-v"]])
      expect(await printed(...argv)).toBe(version);
  });
});

describe("the nearest name", () => {
  it("allows for slips, dashes, case and abbreviation, and not for other words", () => {
    const known = ["model", "max-tokens", "iterations", "exit", "backend", "json"];
    expect(["mdoel", "MAX_TOKENS", "iter", "exti", "backened", "iteratoins"].map((typed) => nearest(typed, known))).toEqual([
      "model",
      "max-tokens",
      "iterations",
      "exit",
      "backend",
      "iterations",
    ]);
    expect(["depths", "x", "", "--", "temperature"].map((typed) => nearest(typed, known))).toEqual(Array(5).fill(undefined));
  });
});

describe("a run", { timeout: 30_000 }, () => {
  const run = (argv: string[], input = ""): Promise<{ status: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, FORCE_COLOR: "", CI: "", TEST: "", NO_COLOR: "" };
      const child = execFile(process.execPath, [`${ROOT}cli/fathom.mjs`, ...argv], { env }, (error, out, err) =>
        resolve({ status: (error?.code as number | undefined) ?? 0, out, err }),
      );
      child.stdin!.end(input);
    });

  it("answers on standard output, and says how much it thought on standard error", async () => {
    const { status, out, err } = await run(["ask", "-"], Q);
    expect([status, out]).toEqual([0, "5\n"]);
    expect(err).toMatch(/^iterations: " 5" \d+, /);
  });

  it("says so where the prompt has none of the forms that the model was trained on", async () => {
    const off = await run(["ask", "Hello"]);
    expect(off.err).toMatch(/nano was trained on prompts of 4 forms .* the answer means nothing\. One that it can answer: "Question: /);
    expect((await run(["ask", Q])).err).not.toContain("trained on");
    expect(JSON.parse((await run(["ask", "--json", "Hello"])).out)).toMatchObject({ form: null });
    expect(JSON.parse((await run(["ask", "--json", Q])).out)).toMatchObject({ form: "arithmetic" });
  });

  it("that was called wrongly ends with 2 and one line, without colours", async () => {
    const wrong = await run(["ask", "--iteration", "1", Q]);
    expect(wrong).toEqual({ status: 2, out: "", err: "fathom: There is no option --iteration. Did you mean --iterations?\n" });
    expect(await run(["ask"], " \n")).toMatchObject({
      status: 2,
      out: "",
      err: expect.stringMatching(/^fathom ask: The prompt .* empty.*\n$/),
    });
  });
});

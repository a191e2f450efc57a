/**
 * Comments of the product: each doc comment can be read alone, files that are named exist, and words are the field's.
 * Whether a comment is true or worth its line, no test can say.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./imports.ts";

const ROOMS = ["engine", "wasm", "kernels", "onnx", "folders", "worker", "cli", "bench", "examples", "test", "docs", "train", "models"];
const SKIPPED = ["node_modules", "build", "data", "runs"];

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.includes(entry.name) ? [] : filesIn(path, ending);
    return ending.test(entry.name) ? [path] : [];
  });
}

const own = "test/comments.test.ts";
const sources = ROOMS.flatMap((room) => filesIn(room, /\.(ts|mjs|wgsl|py|sh|md|toml)$/)).filter((file) => file !== own);
const product = sources.filter((file) => !file.startsWith("test/") && /\.(ts|mjs)$/.test(file));
const textOf = new Map(sources.map((file) => [file, readFileSync(join(ROOT, file), "utf8")]));

interface Comment {
  /** `file:line`. */
  readonly at: string;
  readonly file: string;
  readonly text: string;
}

/** Doc comments of a source text, each in one line. */
function docComments(file: string, text: string): Comment[] {
  return [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map((m) => ({
    at: `${file}:${text.slice(0, m.index).split("\n").length}`,
    file,
    text: m[1]!
      .replaceAll(/^\s*\*/gm, "")
      .replaceAll(/\s+/g, " ")
      .trim(),
  }));
}

/** Comments of all forms, line comments of all languages here included. */
function allComments(file: string, text: string): Comment[] {
  const lines = text.split("\n").flatMap((line, i): Comment[] => {
    const comment = /^\s*(?:\/\/|#(?!include)|\*)\s?(.*)|\s\/\/\s(.*)/.exec(line);
    return comment === null ? [] : [{ at: `${file}:${i + 1}`, file, text: (comment[1] ?? comment[2])! }];
  });
  const single = docComments(file, text).filter(({ text: body }) => body !== "");
  return [...lines, ...single];
}

/**
 * Openings that lean on the line before: prepositions, participles, and pronouns for a thing that is named elsewhere. A
 * tag such as `@throws` alone may open a comment.
 */
const LEANING = new RegExp(
  [
    "^(Of|As|To|For|In|At|By|With|Without|Against|On|From|Until|Since|Before|After|Between|Above|Below|Beyond)\\b",
    "^(See|Told|Asked|Held|Looked|Likewise|Also|So|Its?|They|Their|Others?|Another|More|Less|Fewer|Larger|Smaller|Nobody)\\b",
    "^The (same|other|rest|like)\\b",
    "^(What|How|Where|When|All|Most|Share) (it|they|them|its|their) ",
    "^(undefined|null|true|false|False|Undefined|Infinity)\\b",
  ].join("|"),
);

const leaning = (comments: readonly Comment[]): string[] =>
  comments.filter(({ text }) => LEANING.test(text)).map(({ at, text }) => `${at} ${text.slice(0, 80)}`);

/** Files that a comment names: with a folder, from the root or from the comment's file; alone, from anywhere here. */
function missingFiles({ at, file, text }: Comment, names: ReadonlySet<string>): string[] {
  const named = [...text.matchAll(/(?<![\w/@:.*-])((?:[\w-]+\/)*[\w.-]+\.(?:ts|mjs|wgsl|toml|py|sh))\b(?![\w*])/g)].map((m) => m[1]!);
  const isThere = (path: string): boolean =>
    path.includes("/")
      ? ["", dirname(file), file.split("/")[0]!, "kernels/shaders"].some((from) => existsSync(join(ROOT, from, path)))
      : names.has(path);
  return named.filter((path) => !path.includes("build/") && !isThere(path)).map((path) => `${at} names ${path}, which is not there`);
}

/** Private metaphors, with the field's word for each. */
const PRIVATE: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\btreasury\b/i, "shared budget"],
  [/\b(rungs?|ladder)\b/i, "exit choice, measured exit"],
  [/\b(seats?|takeSeat)\b/i, "reservation"],
  [/\bverdicts?\b/i, "outcome, limited-by"],
  [/\blanding\b/i, "result"],
  [/\b(a|an|the|its|whole|each|every|this|of) thoughts?\b|[a-z]Thought|\bThought[A-Z]|\bthoughts\b/, "token, core iterations"],
  [/(\b(readonly|function\*?|async|type|interface) |^const |#)(told|beside|\w*Beside|settle|arm|plan0)\b/, "what it does or holds"],
];

const privateWords = (file: string, text: string): string[] =>
  text
    .split("\n")
    .flatMap((line, i) =>
      PRIVATE.flatMap(([pattern, instead]) =>
        pattern.test(line) ? [`${file}:${i + 1} says ${pattern.exec(line)![0]!.trim()}: ${instead}?`] : [],
      ),
    );

describe("doc comments", () => {
  it("can be read without the line before them", () => {
    expect(leaning(product.flatMap((file) => docComments(file, textOf.get(file)!)))).toEqual([]);
  });

  it("lean where they begin in the middle of a sentence", () => {
    const text = "/** Of the call. */\n/** Rows of the call. */\n/**\n * The same, in nibbles.\n */\n/** @throws {Error} */\n";
    expect(leaning(docComments("a.ts", text))).toEqual(["a.ts:1 Of the call.", "a.ts:3 The same, in nibbles."]);
  });
});

describe("files that comments name", () => {
  const names = new Set([...ROOMS.flatMap((room) => filesIn(room, /./)), ...readdirSync(ROOT)].map((path) => path.split("/").at(-1)!));

  it("exist", () => {
    const named = sources.filter((file) => !file.endsWith(".md"));
    expect(named.flatMap((file) => allComments(file, textOf.get(file)!)).flatMap((comment) => missingFiles(comment, names))).toEqual([]);
  });

  it("are found in every form of comment", () => {
    const text = "// see gone.ts\n/** Like engine/gone.ts and engine/errors.ts. */\nrun(); // in errors.ts, not https://a.b/c.ts\n";
    const found = allComments("engine/a.ts", text).flatMap((comment) => missingFiles(comment, names));
    expect(found).toEqual(["engine/a.ts:1 names gone.ts, which is not there", "engine/a.ts:2 names engine/gone.ts, which is not there"]);
  });
});

describe("words", () => {
  it("are the field's, in code, comments and documents", () => {
    expect(sources.flatMap((file) => privateWords(file, textOf.get(file)!))).toEqual([]);
  });

  it("are private where only this house knows them", () => {
    expect(privateWords("a.ts", "const seat = 1;\nhas thought enough\na whole thought\nreadonly told: string")).toHaveLength(3);
  });
});

/**
 * Nothing that is evaluated on is trained on: rows and texts that train/decider would train with, against the evaluation
 * rows of all sets, compared here by a rule of its own. Needs python3 (no packages); the real sets lie beside the
 * repository where the model was made, and a clean clone skips them.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";

const TRAIN = join(import.meta.dirname, "../../train");
const SETS = join(import.meta.dirname, "../../../shared/data/decisions");
const hasPython = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status === 0;

/** Prints every text that training on a folder's sets reads, and every row that it holds out, as JSON. */
const LIST = `
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from decider.sets import held_out_digests, read_sets
from decider.texts import ordered_texts
folder, corpus = Path(sys.argv[2]), json.loads(sys.argv[3])
sets = read_sets(folder, [path.name.removesuffix(".jsonl.gz") for path in sorted(folder.glob("*.jsonl.gz"))])
rows = [row.input for one in sets.values() for row in one.train]
lists = {row.options for one in sets.values() for row in one.train}
options = {option for options in lists for option in options}  # known: they are asked with
held = {name: [row.input for row in one.held_out] for name, one in sets.items()}
print(json.dumps({"trained": sorted({*rows, *ordered_texts(sets, corpus, held_out_digests(folder), 1)} - options), "held": held}))
`;

interface Listed {
  readonly trained: readonly string[];
  readonly held: Readonly<Record<string, readonly string[]>>;
}

function list(folder: string, corpus: readonly string[] = []): Listed {
  const out = execFileSync("python3", ["-c", LIST, TRAIN, folder, JSON.stringify(corpus)], { maxBuffer: 1 << 28 });
  return JSON.parse(out.toString()) as Listed;
}

/** Letters and digits, whatever stands between them. */
const plain = (text: string): string =>
  text
    .toLowerCase()
    .match(/[\p{L}\p{N}_]+/gu)
    ?.join(" ") ?? "";

interface Line {
  readonly split: string;
  readonly input: string;
}

const folder = mkdtempSync(join(tmpdir(), "sets-"));
afterAll(() => rmSync(folder, { recursive: true }));

function writeSet(name: string, lines: readonly Line[]): void {
  const question = { type: "choice", instructions: "Which?", choices: "@colours" };
  const rows = lines.map((line) => JSON.stringify({ ...line, question, gold: "red" }));
  writeFileSync(join(folder, `${name}.jsonl.gz`), gzipSync(rows.join("\n")));
}

describe.skipIf(!hasPython)("training rows", () => {
  it("have no text of an evaluation row of any set, however it is spelt, nor has the corpus", () => {
    writeFileSync(join(folder, "labels.json"), JSON.stringify({ colours: [{ value: "red" }, { value: "blue" }] }));
    const many = Array.from({ length: 60 }, (_, i) => ({ split: "train", input: `a brick, number ${i}` }));
    writeSet("walls", [
      { split: "dev", input: "The sky at noon?" },
      { split: "train", input: "a rose" },
      { split: "train", input: "the sea" },
    ]);
    writeSet("more", [...many, { split: "train", input: "the SKY at noon" }, { split: "train", input: "A rose!" }]);
    const { trained, held } = list(folder, ["The sky, at noon.", "grass", ...many.map(({ input }) => input.toUpperCase())]);
    expect(held["walls"]).toEqual(["The sky at noon?"]);
    expect(held["more"]!.length, "one in twelve of a set without evaluation rows").toBeGreaterThan(0);
    const evaluated = new Set(Object.values(held).flat().map(plain));
    expect(trained.filter((text) => evaluated.has(plain(text)))).toEqual([]);
    expect(trained).toEqual(expect.arrayContaining(["a rose", "the sea", "grass"]));
  });

  it.skipIf(!existsSync(SETS))("of all real sets have none either", { timeout: 60_000 }, () => {
    const { trained, held } = list(SETS);
    const names = readdirSync(SETS).filter((name) => name.endsWith(".jsonl.gz"));
    const lines = names.flatMap((name) =>
      gunzipSync(readFileSync(join(SETS, name)))
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Line),
    );
    const dev = lines.filter(({ split }) => split !== "train").map(({ input }) => input);
    const evaluated = new Set([...Object.values(held).flat(), ...dev].map(plain));
    expect(Object.keys(held)).toHaveLength(names.length);
    expect(evaluated.size).toBeGreaterThan(18_000);
    expect(trained.length).toBeGreaterThan(100_000);
    expect(trained.filter((text) => evaluated.has(plain(text)))).toEqual([]);
  });
});

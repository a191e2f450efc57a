/**
 * Problems that take dependent steps, as train/decider writes them: answers are those that reading the text gives, and
 * nobody is asked about who takes more steps than the level has. A token is a word here, so that no package is needed but
 * python3.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const TRAIN = join(import.meta.dirname, "../../train");
const hasPython = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status === 0;
const PROBLEMS = 150;
const LEVEL = 3;

/** Prints problems of both forms as lines for `fathom eval`, and how many iterations each of their questions takes. */
const WRITE = `
import json, re, sys, types
from random import Random
sys.path.insert(0, sys.argv[1])

class Encoder:
    """Words with the space before them, and signs."""
    def __init__(self):
        self.words, self.tokenizer = ["<%d>" % i for i in range(20)], self
    def tokens(self, text, most):
        found = re.findall(" ?[\\\\w.,?:-]+?(?=[ .,?:]|$)| ?[.,?:]", text)
        self.words += [word for word in dict.fromkeys(found) if word not in self.words]
        return [self.words.index(word) for word in found]
    def decode(self, rows):
        return "".join(self.words[row] for row in rows)

rows = types.ModuleType("decider.rows")
rows.BEGIN, rows.QUESTION, rows.OPTION, rows.FITS, rows.YES, rows.Encoder = 1, 2, 3, 4, 5, Encoder
sys.modules["decider.rows"] = rows
from decider.depth_rows import line
from decider.forms import FORMS, Words, relays
words = Words(Encoder())
made = {form: [make(Random(seed), words, 1 + seed % ${LEVEL}, ${LEVEL}) for seed in range(${PROBLEMS})]
    for form, make in [*FORMS.items(), ("relays", relays)]}
print(json.dumps({form: [[line(words.encoder, problem, form), [ask.depth for ask in problem.asks]] for problem in problems]
    for form, problems in made.items()}))
`;

interface Line {
  readonly input: string;
  readonly question: { readonly instructions: string };
  readonly gold: boolean | string;
}

type Made = readonly (readonly [line: Line, depths: readonly number[]])[];

const CLAIM = /^(?:According to )?(\w+),?(?: says| claims)?(?: that)? (\w+) (.+)$/;
const isLie = (words: string): boolean => /\b(lies|lie|liar|lying)\b/.test(words);

/** Whether somebody tells the truth: they do if what they say of another is so. */
function tellsTruth(who: string, said: ReadonlyMap<string, readonly [about: string, lies: boolean]>): boolean {
  const [about, lies] = said.get(who) ?? expect.fail(`${who} says nothing`);
  return (about === who ? true : tellsTruth(about, said)) !== lies;
}

function liarAnswer({ input, question }: Line): boolean {
  const said = new Map<string, readonly [string, boolean]>();
  for (const sentence of input
    .replace(/^Question: ?/, "")
    .split(/\. ?/)
    .filter(Boolean)) {
    const isClaim = /According|says|claims/.test(sentence);
    const [, who = "", about = ""] = isClaim ? (CLAIM.exec(sentence) ?? []) : [sentence, sentence.split(" ")[0], sentence.split(" ")[0]];
    said.set(who, [about, isLie(sentence)]);
  }
  const who = question.instructions.match(/\w+/g)?.find((word) => said.has(word)) ?? "";
  return tellsTruth(who, said) !== isLie(question.instructions);
}

/** Whether who is asked about tells the truth, however the question puts it. */
const tellsTruthLine = (line: Line): boolean => liarAnswer(line) !== isLie(line.question.instructions);

function swapAnswer({ input, question }: Line): boolean | string {
  const held = new Map<string, string>();
  const [, holds = "", ...swaps] = /^(.*?)\. (.*)$/.exec(input) ?? [];
  for (const [, who = "", thing = ""] of holds.matchAll(/(\w+) (?:has|holds|takes|gets) the (\w+)/g)) {
    held.set(who, thing);
  }
  for (const sentence of (swaps[0] ?? "").split(".").filter(Boolean)) {
    const [a = "", b = ""] = sentence.match(/\w+/g)?.filter((word) => held.has(word)) ?? [];
    [held.get(a), held.get(b)].forEach((thing, i) => held.set(i === 0 ? b : a, thing ?? ""));
  }
  const words = question.instructions.match(/\w+/g) ?? [];
  const who = words.find((word) => held.has(word));
  const thing = words.find((word) => [...held.values()].includes(word));
  if (who !== undefined) {
    return thing === undefined ? (held.get(who) ?? "") : held.get(who) === thing;
  }
  return [...held].find(([, what]) => what === thing)?.[0] ?? "";
}

describe.skipIf(!hasPython)("problems that take dependent steps", () => {
  const made = hasPython
    ? (JSON.parse(execFileSync("python3", ["-c", WRITE, TRAIN], { maxBuffer: 1 << 26 }).toString()) as Record<
        "liars" | "swaps" | "relays",
        Made
      >)
    : { liars: [], swaps: [], relays: [] };

  it.each([
    ["liars", liarAnswer],
    ["swaps", swapAnswer],
    ["relays", liarAnswer],
  ] as const)("have the answers that reading them gives: %s", (form, answer) => {
    const wrong = made[form].filter(([line]) => answer(line) !== line.gold).map(([line]) => line);

    expect(made[form]).toHaveLength(PROBLEMS);
    expect(wrong).toEqual([]);
  });

  it("say of one alone that he lies where nothing but following is asked, whatever the answer is", () => {
    const liarsIn = made.relays.map(([{ input }]) => input.split(".").filter(isLie).length);
    const truths = made.relays.filter(([line]) => tellsTruthLine(line)).length;

    expect(new Set(liarsIn)).toEqual(new Set([1]));
    expect(truths / PROBLEMS).toBeGreaterThan(0.35);
    expect(truths / PROBLEMS).toBeLessThan(0.65);
  });

  it("ask about nobody beyond the level, of chains that go on further", () => {
    const depths = made.liars.flatMap(([, each]) => each);

    expect(Math.max(...depths)).toBe(LEVEL + 2);
  });
});

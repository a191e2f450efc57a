/**
 * The rows about personal data that train/decider writes: what they say is there is what was put there, no slot is
 * unknown, and nothing that is held out is among them. Slots are filled by their own names here, so that no package is
 * needed but python3.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const TRAIN = join(import.meta.dirname, "../../train");
const hasPython = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status === 0;
const TEXTS = 600;

/** Prints rows of texts whose slots hold their names in brackets, those left when the first text is held out, and unknown slots. */
const WRITE = `
import json, sys
sys.path.insert(0, sys.argv[1])
from random import Random
from decider.filler import Filler
from decider.personal import lines_of, personal_data, slots_of
from decider.sets import digest
bracketed = lambda slot: "[" + slot + "]"
write = lambda banned: [[row.input, row.instructions, row.gold] for row in
    personal_data(["my card is gone", "which fees are there"], banned, ${TEXTS}, Random(1), bracketed).train]
rows = write(frozenset())
slots = {slot for name in ("personal.txt", "personal-who.txt") for line in lines_of(name) for slot in slots_of(line)}
unknown = sorted(slot for slot in slots - {"who", "person"} if not hasattr(Filler, slot))
print(json.dumps({"rows": rows, "left": write(frozenset([digest(rows[0][0])])), "unknown": unknown}))
`;

type Row = readonly [text: string, statement: string, holds: number];

const IDENTIFYING = [
  "name",
  "first",
  "last",
  "email",
  "phone",
  "card",
  "iban",
  "ssn",
  "licence",
  "passport",
  "username",
  "address",
  "street",
  "ip",
];

/** A form letter of personal.txt has a [NAME] that is nobody's. */
const NOBODY = "hello [name], your code";
const holds = (text: string, slots: readonly string[]): boolean =>
  slots.some((slot) => text.toLowerCase().replaceAll(NOBODY, "").includes(`[${slot}]`));

describe.skipIf(!hasPython)("rows about personal data", () => {
  const written = hasPython
    ? (JSON.parse(execFileSync("python3", ["-c", WRITE, TRAIN], { maxBuffer: 1 << 26 }).toString()) as Written)
    : undefined;

  interface Written {
    readonly rows: readonly Row[];
    readonly left: readonly Row[];
    readonly unknown: readonly string[];
  }

  it("fill slots that there are", () => {
    expect(written!.unknown).toEqual([]);
  });

  it.each([
    [/personal (data|information)/, IDENTIFYING],
    [/person's name|name of a person/, ["name", "first", "last"]],
    [/e-?mail address/, ["email"]],
    [/domain name|web address/, ["url", "domain"]],
    [/organisation|company/, ["company"]],
    [/title/, ["title", "honorific"]],
    [/social security/, ["ssn"]],
  ] as const)("say %s exactly where it was put", (statement, slots) => {
    const asked = written!.rows.filter(([, instructions]) => statement.test(instructions));
    expect(asked.length).toBeGreaterThan(10);
    expect(new Set(asked.map(([, , gold]) => gold))).toEqual(new Set([0, 1]));
    expect(asked.filter(([text, , gold]) => holds(text, slots) !== (gold === 1))).toEqual([]);
  });

  it("leave out what is held out", () => {
    const [first] = written!.rows[0]!;
    expect(written!.left.filter(([text]) => text === first)).toEqual([]);
    expect(written!.left.length).toBeGreaterThan(TEXTS);
  });
});

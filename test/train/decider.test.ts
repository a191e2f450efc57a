/**
 * The decider in models/: small enough to serve, as its training computed it but for quantising, and sensible about labels
 * that no set it was trained on has. How good it is, is in docs/models.md.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import type { Question } from "../../engine/decide/question.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";

const FOLDER = join(import.meta.dirname, "../../models/decider");
const DOCS = join(import.meta.dirname, "../../docs/models.md");
const MOST_BYTES = 8e6;

interface Case {
  readonly input: string;
  readonly instructions: string;
  readonly options: readonly string[];
  readonly match?: readonly number[];
}

const cases = JSON.parse(readFileSync(join(import.meta.dirname, "decider-fits.json"), "utf8")) as readonly Case[];
const model = await loadModel(diskFolder(FOLDER), (config, load) => createNodeWasmBackend(config, load));

async function choose(input: string, instructions: string, options: readonly string[]) {
  const question: Question = { kind: "choice", instructions, options: options.map((text) => ({ text })) };
  const { answers } = await decide(prepareDecision(model, { input, questions: [question] }));
  return answers[0]!;
}

describe("the shipped decider", () => {
  it("is no larger than what is meant to be served", () => {
    const bytes = readdirSync(FOLDER).reduce((sum, name) => sum + statSync(join(FOLDER, name)).size, 0);
    expect(bytes).toBeLessThan(MOST_BYTES);
  });

  // scores reach from -10 to 10; measured: 0.33 apart in q4
  it.each(cases.filter(({ match }) => match !== undefined))(
    "matches $input as in training, nearly",
    async ({ input, instructions, options, match }) => {
      const { fitScores } = await choose(input, instructions, options);
      const worst = Math.max(...fitScores.map((score, i) => Math.abs(score - match![i]!)));
      expect(worst).toBeLessThan(0.8);
    },
  );

  it.each([
    ["My parcel was left in the rain and the books are wet", ["damaged delivery", "opening hours", "change password"], "damaged delivery"],
    ["when are you open on sundays", ["damaged delivery", "opening hours", "change password"], "opening hours"],
    ["I can't log in anymore", ["damaged delivery", "opening hours", "change password"], "change password"],
    ["play something by Miles Davis", ["music", "weather", "news", "cooking"], "music"],
  ])("finds what %j is about among labels of its own", async (input, options, expected) => {
    const { best } = await choose(input, "What is it about?", options);
    expect(options[best]).toBe(expected);
  });

  it.each([
    ["WINNER!! You have been selected to receive a £900 prize. To claim call 09061701461 now", true],
    ["ok see you at lunch then, I'll bring the book", false],
  ])("tells whether %j is spam", async (input, isSpam) => {
    const { answers } = await decide(
      prepareDecision(model, { input, questions: [{ kind: "predicate", instructions: "This message is spam." }] }),
    );
    expect(answers[0]!.probabilities[0]! > 0.5).toBe(isSpam);
  });

  it("names each of its sources in the documents", () => {
    const { teachers, sets, corpus } = JSON.parse(
      readFileSync(join(import.meta.dirname, "../../train/decider/sources.json"), "utf8"),
    ) as Record<"teachers" | "sets" | "corpus", readonly { readonly name: string; readonly attribution: string }[]>;
    const docs = readFileSync(DOCS, "utf8");
    const missing = [...teachers, ...sets, ...corpus].filter(
      ({ name, attribution }) => !docs.includes(name) || !docs.includes(attribution),
    );
    expect(missing).toEqual([]);
  });
});

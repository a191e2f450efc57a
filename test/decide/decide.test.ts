/**
 * Decisions on small random models: every number is that of a plain sequence, whatever stands beside it.
 */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision, type DecideOptions } from "../../engine/decide/decide.ts";
import type { Answer, DecisionRequest, Question } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { uniform } from "../../engine/random.ts";
import type { Model } from "../../engine/port/index.ts";
import { letters, MARKERS, smallModel } from "./models.ts";

/** Where states of the random models rest: some leaves end early by it, some late. */
const STILL = 0.5;
const FULL = { iterations: 4, exit: NEVER_EXIT };

const CHOICE: Question = { kind: "choice", instructions: "Which one?", options: ["red", "green apples", "b"].map((text) => ({ text })) };
const SCORE: Question = { kind: "score", instructions: "How much?", options: ["none", "some", "a lot"].map((text) => ({ text })) };
const PREDICATE: Question = { kind: "predicate", instructions: "It holds." };
const INPUT = "An input of some length.";

async function ask(
  model: Model,
  questions: readonly Question[],
  options: DecideOptions = FULL,
  passBytes?: number,
): Promise<readonly Answer[]> {
  const prepared = prepareDecision(model, { input: INPUT, questions }, passBytes === undefined ? {} : { passBytes });
  return (await decide(prepared, options)).answers;
}

/** The logits at a plain sequence's last rows, under the full cache. */
async function plain(model: Model, tokens: readonly number[], iterations: number): Promise<Float32Array[]> {
  const { backend } = model;
  const sequence = backend.openSequence({ capacity: tokens.length, maxIterations: iterations, cache: parseCacheStrategy("full") });
  const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
  for (let t = 0; t < iterations; t++) await backend.iterate(rows);
  const logits = await backend.readout(rows, rows);
  backend.closeSequence(sequence);
  return logits;
}

const put = (text: string): number[] => letters.encodePart(` ${text}`);

describe("branches", () => {
  it("score each option as one plain sequence does, at every iteration", async () => {
    const model = await smallModel();
    const [answer] = await ask(model, [CHOICE]);
    const shared = [MARKERS.begin, ...letters.encodePart(INPUT), MARKERS.question, ...put("Which one?")];
    for (const [i, text] of ["red", "green apples", "b"].entries())
      for (const { iteration, fitScores } of answer!.history) {
        const logits = await plain(model, [...shared, MARKERS.option, ...put(text), MARKERS.fits], iteration);
        expect(fitScores[i], `${text} at ${iteration}`).toBe(logits.at(-1)![MARKERS.yes]);
      }
    expect(answer!.history.map(({ iteration }) => iteration)).toEqual([1, 2, 3, 4]);
  });

  it("answer predicates by one branch without text, and scores by their levels", async () => {
    const model = await smallModel();
    const [predicate, score] = await ask(model, [PREDICATE, SCORE]);
    const shared = [MARKERS.begin, ...letters.encodePart(INPUT), MARKERS.question, ...put("It holds.")];
    const logits = await plain(model, [...shared, MARKERS.option, MARKERS.fits], 4);
    expect(predicate!.fitScores).toEqual([logits.at(-1)![MARKERS.yes]]);
    expect(predicate!.probabilities[0]).toBeCloseTo(1 / (1 + Math.exp(-predicate!.fitScores[0]!)), 14);
    expect(score!.score).toBeCloseTo(score!.probabilities[1]! + 2 * score!.probabilities[2]!, 12);
  });

  it("end by themselves, with the numbers of a plain sequence at their own iteration", async () => {
    const model = await smallModel();
    const exit = { criterion: "latent-diff", threshold: STILL } as const;
    const [early] = await ask(model, [CHOICE], { iterations: 12, exit });
    const [full] = await ask(model, [CHOICE], { iterations: 12, exit: NEVER_EXIT });
    expect(early!.iterations).toBeGreaterThan(1);
    expect(early!.iterations).toBeLessThan(12);
    for (const [i, score] of early!.fitScores.entries()) expect(full!.history.map(({ fitScores }) => fitScores[i])).toContain(score);
  });

  it("have the numbers of a plain sequence at every iteration, also once what they see stands still", async () => {
    const model = await smallModel();
    const criterion = "latent-diff" as const;
    const prepared = prepareDecision(model, { input: "x", questions: [PREDICATE] }); // a short input is still before its question
    const [full] = (await decide(prepared, { iterations: 12, exit: NEVER_EXIT })).answers;
    for (let threshold = 0.1; threshold < 1; threshold += 0.05) {
      const [early] = (await decide(prepared, { iterations: 12, exit: { criterion, threshold } })).answers;
      expect(early!.history, `threshold ${threshold}`).toEqual(full!.history.slice(0, early!.history.length));
    }
  });

  it("count each token once, and give all memory back", async () => {
    const model = await smallModel();
    const before = model.backend.memory().usedBytes;
    const prepared = prepareDecision(model, { input: INPUT, questions: [CHOICE, PREDICATE] });
    const decision = await decide(prepared, FULL);
    const input = 1 + INPUT.length;
    const choice = 1 + put("Which one?").length + 3 * 2 + put("red").length + put("green apples").length + put("b").length;
    expect(decision.usage).toEqual({ inputTokens: input + choice + 1 + put("It holds.").length + 2, cachedTokens: 0 });
    expect(decision.iterations).toMatchObject({ total: 4, mean: 4, max: 4, passes: 1, rowIterations: 4 * decision.usage.inputTokens });
    expect(model.backend.memory().usedBytes).toBe(before);
  });
});

describe("an answer", () => {
  const forms = ["branches", "letters", "likelihood"] as const;

  /** The answer to a question of an option, by the option's text. */
  const byText = (question: Question, answer: Answer): Map<string, unknown> =>
    new Map(
      (question.kind === "predicate" ? [{ text: "" }] : question.options).map(({ text }, i) => [
        text,
        [answer.probabilities[i], answer.fits[i], answer.fitScores[i]],
      ]),
    );

  it.each(forms)("by %s is the same, bit for bit, whatever the order of its options", async (form) => {
    const model = await smallModel(form);
    const options = Array.from({ length: 9 }, (_, i) => ({ text: `option ${i % 7} ${"x".repeat(i % 4)}` }));
    const question: Question = { kind: "choice", instructions: "Which?", options };
    const [answer] = await ask(model, [question]);
    for (let seed = 0; seed < 4; seed++) {
      const permuted: Question = {
        ...question,
        options: options.toSorted((a, b) => uniform(seed, 0, options.indexOf(a)) - uniform(seed, 0, options.indexOf(b))),
      };
      const [other] = await ask(model, [permuted]);
      expect(byText(permuted, other!)).toEqual(byText(question, answer!));
      expect(permuted.options[other!.best]!.text).toBe(options[answer!.best]!.text);
    }
  });

  it.each(forms)("by %s is the same beside other questions, and in any number of passes", async (form) => {
    const model = await smallModel(form);
    const exit = { criterion: "latent-diff", threshold: STILL } as const;
    const options = { iterations: 6, exit };
    const [alone] = await ask(model, [CHOICE], options);
    const others = Array.from({ length: 3 }, (_, i): Question => ({
      kind: "choice",
      instructions: `Question ${i}?`,
      options: [{ text: `a${i}` }, { text: "bbbbbbb" }],
    }));
    const beside = await ask(model, [...others, PREDICATE, CHOICE, SCORE], options);
    expect(beside[4]).toEqual(alone);
    const cut = await ask(model, [...others, PREDICATE, CHOICE, SCORE], options, 1);
    expect(cut).toEqual(beside);
  });

  it.each(forms)("by %s gives options of the same text the same numbers", async (form) => {
    const model = await smallModel(form);
    const [answer] = await ask(model, [
      { kind: "choice", instructions: "Which?", options: [{ text: "true" }, { text: "no" }, { text: " true " }] },
    ]);
    expect(answer!.probabilities[0]).toBe(answer!.probabilities[2]);
    expect(answer!.probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
  });

  it("of an option's fit is the same whatever the other options", async () => {
    const model = await smallModel();
    const [three] = await ask(model, [CHOICE]);
    const [one] = await ask(model, [{ ...CHOICE, options: CHOICE.kind === "choice" ? CHOICE.options.slice(1, 2) : [] }]);
    expect(one!.fits[0]).toBe(three!.fits[1]);
    expect(one!.probabilities).toEqual([1]);
  });

  it("says when it settled, and abstains where nothing fits", async () => {
    const model = await smallModel();
    const [answer] = await ask(model, [CHOICE], { iterations: 12, exit: NEVER_EXIT });
    const leaders = answer!.history.map(({ probabilities }) => probabilities.indexOf(Math.max(...probabilities)));
    expect(answer!.settledAt).toBe(leaders.findLastIndex((leader) => leader !== answer!.best) + 2);
    expect(answer!.agreement).toBeGreaterThan(0);
    expect(answer!.agreement).toBeLessThanOrEqual(1);
    const best = Math.max(...answer!.fits);
    const abstains = async (abstainBelow: number): Promise<boolean[]> =>
      (await ask(model, [CHOICE, PREDICATE], { ...FULL, iterations: 12, abstainBelow })).map(({ abstained }) => abstained);
    expect(await abstains(best * 0.999)).toEqual([false, false]);
    expect(await abstains(Math.min(1, best * 1.001))).toEqual([true, false]);
    expect(answer!.abstained).toBe(false);
  });

  it("takes the card's temperatures by kind and number of options", async () => {
    const model = await smallModel("branches", undefined, { temperatures: { choice: { 2: 9, 5: 2 }, predicate: { 1: 4 } } });
    const [choice, predicate] = await ask(model, [CHOICE, PREDICATE]);
    const weights = choice!.fitScores.map((score) => Math.exp(score / 2));
    expect(choice!.probabilities[0]).toBeCloseTo(weights[0]! / weights.reduce((a, b) => a + b, 0), 12);
    expect(predicate!.probabilities[0]).toBeCloseTo(1 / (1 + Math.exp(-predicate!.fitScores[0]! / 4)), 12);
  });
});

describe("letters and likelihood", () => {
  it("read the letters' share of the next token", async () => {
    const model = await smallModel("letters");
    const [answer] = await ask(model, [CHOICE]);
    const prompt = letters.encode(
      `${INPUT}\n\nQuestion: Which one?\nA: b\nB: green apples\nC: red\nAnswer with the letter of one option only.`,
    );
    const p = softmaxOf((await plain(model, prompt, 4)).at(-1)!);
    const [red, green, b] = ["C", "B", "A"].map((letter) => p[letters.encodePart(letter)[0]!]!) as [number, number, number];
    expect(answer!.labelMass).toBeCloseTo(red + green + b, 6);
    expect(answer!.fits[0]).toBeCloseTo(red, 6);
    expect(answer!.probabilities[1]).toBeCloseTo(green / (red + green + b), 6);
  });

  it("read the mean log-probability of an option's text", async () => {
    const model = await smallModel("likelihood");
    const [answer] = await ask(model, [CHOICE]);
    const prompt = letters.encode(`${INPUT}\n\nWhich one?`);
    const option = put("red");
    const logits = await plain(model, [...prompt, ...option], 4);
    const mean = option.reduce((sum, token, i) => sum + Math.log(softmaxOf(logits[prompt.length - 1 + i]!)[token]!), 0) / option.length;
    expect(answer!.fitScores[0]).toBeCloseTo(mean, 5);
    expect(answer!.fits[0]).toBeCloseTo(Math.exp(mean), 5);
  });

  it("refuse more options than letters", async () => {
    const model = await smallModel("letters");
    const options = Array.from({ length: 27 }, (_, i) => ({ text: `option ${i}` }));
    expect(() => prepareDecision(model, { input: INPUT, questions: [PREDICATE, { kind: "choice", instructions: "?", options }] })).toThrow(
      /Question 1 has 27 options; .* letters and has 26/,
    );
  });
});

function softmaxOf(logits: Float32Array): number[] {
  const weights = Array.from(logits, (v) => Math.exp(v - Math.max(...logits)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

describe("a request", () => {
  const refused: [says: RegExp, request: DecisionRequest][] = [
    [/no questions/, { input: INPUT, questions: [] }],
    [
      /Question 1 is a choice without options/,
      { input: INPUT, questions: [PREDICATE, { kind: "choice", instructions: "?", options: [] }] },
    ],
    [/shorten the input/, { input: "x".repeat(600), questions: [PREDICATE] }],
    [
      /question 0 and its longest option .* shorten the question/,
      { input: INPUT, questions: [{ kind: "predicate", instructions: "y".repeat(600) }] },
    ],
  ];
  it.each(refused)("is refused before any work: %s", async (says, request) => {
    const model = await smallModel();
    expect(() => prepareDecision(model, request)).toThrow(says);
  });

  it("names exit rules that decisions cannot follow, and takes whole iterations only", async () => {
    const prepared = prepareDecision(await smallModel(), { input: INPUT, questions: [PREDICATE] });
    await expect(decide(prepared, { exit: { criterion: "kl", threshold: 0.1 } })).rejects.toThrow(/kl looks at the next token/);
    await expect(decide(prepared, { iterations: 0 })).rejects.toThrow(/at least 1, not 0/);
  });

  it("ends where its signal says so, and gives its memory back", async () => {
    const model = await smallModel();
    const before = model.backend.memory().usedBytes;
    const prepared = prepareDecision(model, { input: INPUT, questions: [CHOICE] });
    await expect(decide(prepared, { ...FULL, signal: AbortSignal.abort(new Error("gone")) })).rejects.toThrow("gone");
    expect(model.backend.memory().usedBytes).toBe(before);
  });
});

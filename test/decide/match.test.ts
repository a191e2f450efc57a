/**
 * Match: which options are thought about. What it adds to a fit, that it never depends on company, and that an option is
 * computed once.
 */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import { candidatesOf, mapped, matchScore } from "../../engine/decide/match.ts";
import { OptionVectors } from "../../engine/decide/option-vectors.ts";
import { softmax } from "../../engine/decide/probabilities.ts";
import type { Question } from "../../engine/decide/question.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { defaultCard, parseCard } from "../../engine/model/card.ts";
import { readMatch, type MatchWeights } from "../../engine/model/match.ts";
import type { LatentState, Model } from "../../engine/port/index.ts";
import { memoryFolder, safetensors } from "../engine/files.ts";
import { letters, MARKERS, MATCH, SMALL_CONFIG, smallModel } from "./models.ts";

const FULL = { iterations: 3, exit: NEVER_EXIT };
const TEXTS = ["red", "green", "blue", "dark brown", "white"];
const CHOICE: Question = { kind: "choice", instructions: "Which?", options: TEXTS.map((text) => ({ text })) };
const PREDICATE: Question = { kind: "predicate", instructions: "It holds." };
const put = (text: string): number[] => letters.encodePart(` ${text}`);

/** Weights of their own, so that no vector is kept from another test. */
const fresh = (change: Partial<MatchWeights> = {}): Promise<Model> => smallModel("branches", undefined, {}, { ...MATCH, ...change });

async function lastState(model: Model, tokens: readonly number[]): Promise<LatentState> {
  const { backend } = model;
  const sequence = backend.openSequence({ capacity: tokens.length, maxIterations: 1, cache: parseCacheStrategy("full") });
  const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
  await backend.iterate(rows);
  const state = await backend.latent(rows.at(-1)!, "raw");
  backend.closeSequence(sequence);
  return state;
}

/** Of the choice's options, by states computed one by one. */
async function matchScores(model: Model): Promise<number[]> {
  const asked = await lastState(model, [MARKERS.begin, ...letters.encodePart("Input."), MARKERS.question, ...put("Which?")]);
  const scores: number[] = [];
  for (const text of TEXTS) {
    const alone = await lastState(model, [MARKERS.option, ...put(text), MARKERS.fits]);
    scores.push(matchScore(mapped(MATCH.question, asked), mapped(MATCH.option, alone), MATCH));
  }
  return scores;
}

describe("match", () => {
  it("adds the cosine of mapped states to the branches of the options that it chooses", async () => {
    const model = await fresh();
    const { answers } = await decide(prepareDecision(model, { input: "Input.", questions: [CHOICE] }), FULL);
    const plain = await decide(prepareDecision(await smallModel(), { input: "Input.", questions: [CHOICE] }), FULL);
    const scores = await matchScores(model);
    const chosen = candidatesOf(scores, 2);
    const branches = plain.answers[0]!.fitScores;
    const worst = Math.min(...chosen.map((i) => branches[i]!));
    answers[0]!.fitScores.forEach((score, i) =>
      expect(score, TEXTS[i]).toBeCloseTo(scores[i]! + (chosen.includes(i) ? branches[i]! : worst), 10),
    );
    expect(chosen).toContain(answers[0]!.best);
  });

  it("depends on no order, no other question, no pass, and leaves predicates alone", async () => {
    const model = await fresh();
    const ask = async (questions: readonly Question[], passBytes?: number) =>
      (await decide(prepareDecision(model, { input: "Input.", questions }, passBytes === undefined ? {} : { passBytes }), FULL)).answers;
    const [alone] = await ask([CHOICE]);
    const turned: Question = { kind: "choice", instructions: "Which?", options: TEXTS.toReversed().map((text) => ({ text })) };
    const [backwards, , beside, predicate] = await ask([turned, { ...CHOICE, instructions: "Another?" }, CHOICE, PREDICATE]);
    expect(backwards!.fitScores.toReversed()).toEqual(alone!.fitScores);
    expect(beside).toEqual(alone);
    expect((await ask([PREDICATE, CHOICE], 1))[1]).toEqual(alone);
    const plain = await decide(prepareDecision(await smallModel(), { input: "Input.", questions: [PREDICATE] }), FULL);
    expect(predicate).toEqual(plain.answers[0]);
  });

  it("computes an option once, and gives all memory back", async () => {
    const model = await fresh();
    const before = model.backend.memory().usedBytes;
    const prepare = () => prepareDecision(model, { input: "Input.", questions: [CHOICE] });
    const first = prepare();
    expect(first.match!.batches.flat().map(({ text }) => text)).toEqual(TEXTS.toSorted());
    const { answers } = await decide(first, FULL);
    const second = prepare();
    expect(second.match!.batches).toEqual([]);
    expect((await decide(second, FULL)).answers).toEqual(answers);
    expect(model.backend.memory().usedBytes).toBe(before);
  });

  it("alone decides where no option becomes a branch, in one iteration, its bias in the fits alone", async () => {
    const ask = async (change: Partial<MatchWeights>, more: Parameters<typeof smallModel>[2] = {}) => {
      const model = await smallModel("branches", undefined, more, { ...MATCH, ...change });
      const decision = await decide(prepareDecision(model, { input: "Input.", questions: [CHOICE, PREDICATE] }), FULL);
      expect(model.backend.memory().usedBytes).toBe(0);
      return decision;
    };
    const { answers } = await ask({ candidates: 0 });
    const plain = await ask({});
    const matchOf = await matchScores(await fresh());
    expect(answers[0]!.fitScores).toEqual(matchOf);
    expect(answers[0]).toMatchObject({ iterations: 1, settledAt: 1, agreement: 1 });
    expect(answers[1], "a predicate is thought about").toEqual(plain.answers[1]);
    const biased = await ask({ candidates: 0, bias: -3 });
    biased.answers[0]!.fitScores.forEach((score, i) => expect(score).toBeCloseTo(matchOf[i]! - 3, 12));
    biased.answers[0]!.probabilities.forEach((p, i) => expect(p).toBeCloseTo(answers[0]!.probabilities[i]!, 12));
  });

  it("settles a question whose best option is probable enough, by the card's temperature, and thinks about the others", async () => {
    const ask = async (settled: number, temperature: number) => {
      const model = await smallModel("branches", undefined, { temperatures: { choice: { "5": temperature } } }, { ...MATCH, settled });
      return decide(prepareDecision(model, { input: "Input.", questions: [CHOICE] }), FULL);
    };
    const surest = Math.max(...softmax(await matchScores(await fresh())));
    const sharper = Math.max(...softmax(await matchScores(await fresh()), 0.5));
    expect(sharper).toBeGreaterThan(surest);
    for (const [settled, temperature, iterations] of [
      [surest, 1, 1],
      [surest + 1e-9, 1, FULL.iterations],
      [sharper, 0.5, 1],
      [sharper, 1, FULL.iterations],
    ] as const)
      expect((await ask(settled, temperature)).answers[0]!.iterations, `${settled} at ${temperature}`).toBe(iterations);
  });

  it("can read the input's state alone, once for all questions, whatever they ask", async () => {
    const model = await fresh({ reads: "input", candidates: 0 });
    const other: Question = { ...CHOICE, instructions: "Quite another question?" };
    const prepared = prepareDecision(model, { input: "Input.", questions: [CHOICE, other] });
    expect(prepared.match!.questionPasses.map(({ questions }) => questions.length)).toEqual([1]);
    const { answers } = await decide(prepared, FULL);
    expect(answers[1]!.fitScores).toEqual(answers[0]!.fitScores);
    const state = await lastState(model, [MARKERS.begin, ...letters.encodePart("Input."), MARKERS.question]);
    for (const [i, text] of TEXTS.entries()) {
      const alone = await lastState(model, [MARKERS.option, ...put(text), MARKERS.fits]);
      const expected = matchScore(mapped(MATCH.question, state), mapped(MATCH.option, alone), MATCH);
      expect(answers[0]!.fitScores[i], text).toBe(expected);
    }
  });

  it("breaks ties by text", () => {
    expect(candidatesOf([1, 3, 3, 2], 2)).toEqual([1, 2]);
    expect(candidatesOf([0, 0, 0], 2)).toEqual([0, 1]);
  });
});

describe("kept vectors", () => {
  it("stay within their bytes; what was used longest ago goes first", () => {
    const vector = new Float32Array(4);
    const kept = new OptionVectors(undefined, 3 * (16 + 2));
    for (const text of ["a", "b", "c"]) kept.set(text, vector);
    expect(kept.usedBytes).toBe(kept.limitBytes);
    kept.get("a");
    kept.set("d", vector);
    expect(["a", "b", "c", "d"].map((text) => kept.get(text) !== undefined)).toEqual([true, false, true, true]);
    kept.set("d", vector);
    expect(kept.usedBytes).toBe(kept.limitBytes);
  });
});

describe("a folder's match weights", () => {
  const { width } = SMALL_CONFIG;
  const match = { question: "q", option: "o", scale: 2, candidates: 3 };
  const file = (shapes: Record<string, number[]>): Uint8Array => {
    let at = 0;
    const header: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(shapes)) {
      const bytes = 4 * shape.reduce((a, b) => a * b, 1);
      header[name] = { dtype: "F32", shape, data_offsets: [at, (at += bytes)] };
    }
    return safetensors(header, new Uint8Array(new Float32Array(at / 4).fill(0.5).buffer));
  };
  const read = (content: Uint8Array | undefined, decisions: object = { form: "branches", markers: MARKERS, match }) => {
    const card = parseCard({ ...defaultCard("small", SMALL_CONFIG), decisions }, SMALL_CONFIG);
    return readMatch(memoryFolder(content === undefined ? {} : { "match.safetensors": content }), card, SMALL_CONFIG);
  };

  it("are read from a file of their own", async () => {
    const weights = await read(file({ o: [4, width], q: [4, width], other: [2] }));
    expect(weights).toMatchObject({ size: 4, reads: "question", scale: 2, bias: 0, candidates: 3, settled: undefined });
    expect(weights!.question).toHaveLength(4 * width);
    expect(await read(undefined, { form: "letters" })).toBeUndefined();
  });

  it.each([
    [/lacks match\.safetensors/, undefined],
    [/no tensor o/, { q: [4, width] }],
    [/tensor q has shape \[4, 7\]; a matrix of 32 columns/, { q: [4, 7], o: [4, width] }],
    [/q has 4 rows, o 5/, { q: [4, width], o: [5, width] }],
  ])("are refused where they do not fit: %s", async (says, shapes) => {
    await expect(read(shapes && file(shapes as Record<string, number[]>))).rejects.toThrow(says);
  });
});

/** Labels of a user's own: what they decide, what they leave to the model, how they are read from a folder. */
import { describe, expect, it } from "vitest";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import { inputVectors, optionVectors } from "../../engine/decide/features.ts";
import { matchScore } from "../../engine/decide/match.ts";
import { sigmoid, softmax } from "../../engine/decide/probabilities.ts";
import type { Question } from "../../engine/decide/question.ts";
import { wordingOf } from "../../engine/decide/wording.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { defaultCard, parseCard } from "../../engine/model/card.ts";
import { LABELS_METADATA, readLabels, type LabelSet } from "../../engine/model/labels.ts";
import type { Model } from "../../engine/port/index.ts";
import { memoryFolder, safetensors } from "../engine/files.ts";
import { randomFloats } from "../wasm/models.ts";
import { MARKERS, MATCH, SMALL_CONFIG, smallModel } from "./models.ts";

const FULL = { iterations: 3, exit: NEVER_EXIT };
const BIASED = { ...MATCH, reads: "input", bias: -1 } as const;
const INPUT = "Input.";

function labelSet(texts: readonly string[], more: Partial<LabelSet> = {}): LabelSet {
  const labels = new Map(texts.map((text, i) => [text, { vector: randomFloats(MATCH.size, 300 + i), bias: i / 10 }]));
  return { kind: "choice", instructions: null, labels, temperature: 0.7, fit: { slope: 0.5, intercept: -0.2 }, ...more };
}

async function modelWith(...labels: LabelSet[]): Promise<Model> {
  const model = await smallModel("branches", undefined, {}, BIASED);
  return { ...model, decisions: { ...model.decisions, labels } as Model["decisions"] };
}

const choiceOf = (texts: readonly string[], instructions = "Which?"): Question => ({
  kind: "choice",
  instructions,
  options: texts.map((text) => ({ text })),
});

async function answer(model: Model, question: Question) {
  const prepared = prepareDecision(model, { input: INPUT, questions: [question] });
  return { prepared, answer: (await decide(prepared, FULL)).answers[0]! };
}

async function labelScores(model: Model, set: LabelSet, texts: readonly string[]): Promise<number[]> {
  const [x] = await inputVectors(model, [{ input: INPUT, question: choiceOf(texts) }]);
  return texts.map((text) => {
    const { vector, bias } = set.labels.get(text)!;
    return x!.reduce((sum, v, i) => sum + v * vector[i]!, 0) + bias;
  });
}

describe("own labels", () => {
  const texts = ["red", "green", "blue"];

  it("decide alone where they know all options: no branch, no option is read, their own temperature, fit and threshold", async () => {
    const set = labelSet(texts, { threshold: 0.999 });
    const model = await modelWith(set);
    const { prepared, answer: got } = await answer(model, choiceOf(["blue", "red"]));
    expect([prepared.match!.batches, prepared.passes]).toEqual([[], []]);
    const scores = await labelScores(model, set, ["blue", "red"]);
    got.fitScores.forEach((score, i) => expect(score).toBeCloseTo(scores[i]!, 5));
    softmax(got.fitScores, 0.7).forEach((p, i) => expect(got.probabilities[i]).toBeCloseTo(p, 12));
    got.fits.forEach((fit, i) => expect(fit).toBeCloseTo(sigmoid(0.5 * got.fitScores[i]! - 0.2), 12));
    expect(got).toMatchObject({ iterations: 1, abstained: true });
    expect(model.backend.memory().usedBytes).toBe(0);
  });

  it("score by the input's words too, where they have weights for them", async () => {
    const size = 16;
    const wording = texts.map((_, i) => randomFloats(size, 500 + i));
    const plain = labelSet(texts);
    const labels = new Map(texts.map((text, i) => [text, { ...plain.labels.get(text)!, wording: wording[i]! }]));
    const asked = choiceOf(["blue", "red"]);
    const [without, withWords] = [await modelWith(plain), await modelWith({ ...plain, labels, wording: size })];
    const { buckets, values } = wordingOf(INPUT, size);
    const [before, after] = [(await answer(without, asked)).answer, (await answer(withWords, asked)).answer];
    ["blue", "red"].forEach((text, i) => {
      const own = wording[texts.indexOf(text)]!;
      const words = buckets.reduce((sum, bucket, n) => sum + values[n]! * own[bucket]!, 0);
      expect(after.fitScores[i]! - before.fitScores[i]!, text).toBeCloseTo(words, 5);
    });
  });

  it("stand beside the match of an option that they do not know, which is thought about as ever", async () => {
    const set = labelSet(texts);
    const model = await modelWith(set);
    const { answer: got } = await answer(model, choiceOf(["red", "violet"]));
    const [red] = await labelScores(model, set, ["red"]);
    const [x] = await inputVectors(model, [{ input: INPUT, question: choiceOf(texts) }]);
    const [violet] = await optionVectors(model, ["violet"]);
    const branches = (await decide(prepareDecision(await smallModel(), { input: INPUT, questions: [choiceOf(["red", "violet"])] }), FULL))
      .answers[0]!.fitScores;
    expect(got.fitScores[0]).toBeCloseTo(red! + BIASED.bias + branches[0]!, 5);
    expect(got.fitScores[1]).toBeCloseTo(matchScore(x!, violet!, BIASED) + branches[1]!, 5);
    expect(got.iterations).toBe(FULL.iterations);
  });

  it("of the same words come first; others' words and kinds are left to the model", async () => {
    const [any, asked] = [labelSet(texts), labelSet(texts, { instructions: "Which colour?", temperature: 3 })];
    const model = await modelWith(any, asked);
    const scores = async (question: Question): Promise<readonly number[]> => (await answer(model, question)).answer.probabilities;
    expect(await scores(choiceOf(texts, " Which colour? "))).toEqual(
      (await answer(await modelWith(asked), choiceOf(texts, "Which colour?"))).answer.probabilities,
    );
    expect(await scores(choiceOf(texts, "Another?"))).toEqual((await answer(await modelWith(any), choiceOf(texts))).answer.probabilities);
    const score: Question = { kind: "score", instructions: "Which?", options: texts.map((text) => ({ text })) };
    expect((await answer(model, score)).answer).toEqual((await answer(await modelWith(), score)).answer);
    const other = choiceOf(texts, "Another?");
    expect((await answer(await modelWith(asked), other)).answer).toEqual((await answer(await modelWith(), other)).answer);
  });

  it("answer a statement that they were fitted to, and no other", async () => {
    const set = labelSet([""], { kind: "predicate", instructions: "It holds." });
    const model = await modelWith(set);
    const holds: Question = { kind: "predicate", instructions: "It holds." };
    const { answer: got } = await answer(model, holds);
    const [score] = await labelScores(model, set, [""]);
    expect(got.fitScores[0]).toBeCloseTo(score!, 5);
    expect(got.probabilities[0]).toBeCloseTo(sigmoid(got.fitScores[0]! / 0.7), 12);
    expect(got.iterations).toBe(1);
    const other: Question = { kind: "predicate", instructions: "It rains." };
    expect((await answer(model, other)).answer).toEqual((await answer(await modelWith(), other)).answer);
  });
});

describe("a folder's labels", () => {
  const record = { kind: "choice", instructions: null, texts: ["a", "b"], temperature: 1, fit: { slope: 1, intercept: 0 }, threshold: 0.4 };

  function read(metadata: unknown, { shape = [2, MATCH.size], match = BIASED as typeof MATCH | null } = {}) {
    const [bytes, count] = [4 * shape[0]! * shape[1]!, 2];
    const header = {
      __metadata__: { [LABELS_METADATA]: typeof metadata === "string" ? metadata : JSON.stringify(metadata) },
      "vectors.0": { dtype: "F32", shape, data_offsets: [0, bytes] },
      "biases.0": { dtype: "F32", shape: [count], data_offsets: [bytes, bytes + 4 * count] },
    };
    const data = new Float32Array(bytes / 4 + count).map((_, i) => i);
    const decisions = { form: "branches", markers: MARKERS, labels: {} };
    const card = parseCard({ ...defaultCard("small", SMALL_CONFIG), decisions }, SMALL_CONFIG);
    return readLabels(memoryFolder({ "labels.safetensors": safetensors(header, new Uint8Array(data.buffer)) }), card, match ?? undefined);
  }

  it("are vectors by text", async () => {
    const [set, ...more] = await read([record]);
    expect(more).toEqual([]);
    expect(set).toMatchObject({ kind: "choice", instructions: null, temperature: 1, threshold: 0.4 });
    expect(set!.labels.get("b")).toEqual({
      vector: Float32Array.from({ length: MATCH.size }, (_, i) => MATCH.size + i),
      bias: 2 * MATCH.size + 1,
    });
  });

  it.each([
    [/no fathom\.labels that is JSON/, "{"],
    [/fathom\.labels: 0\.kind/, [{ ...record, kind: "other" }]],
    [/fathom\.labels: 0\.temperature/, [{ ...record, temperature: 0 }]],
    [/must have 3 rows, one a label/, [{ ...record, texts: ["a", "b", "c"] }]],
    [/has no tensor vectors\.1/, [record, record]],
    [/fathom\.labels: 0\.wording/, [{ ...record, wording: 0 }]],
    [/has no tensor wording\.0/, [{ ...record, wording: 16 }]],
  ])("are refused where they do not fit: %s", async (says, metadata) => {
    await expect(read(metadata)).rejects.toThrow(says);
  });

  it("are refused where vectors have another length than the match, or there is none", async () => {
    await expect(read([record], { shape: [2, 5] })).rejects.toThrow(/\[2, 5\]; a matrix of 8 columns/);
    await expect(read([record], { match: null })).rejects.toThrow(/only a model with decisions\.match has labels/);
  });
});

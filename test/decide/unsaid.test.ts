/** A question without instructions: the usual one to models that are asked, none to those that go on where the input ends. */
import { describe, expect, it } from "vitest";
import { loadNodeModel } from "../../cli/models.ts";
import { decide, prepareDecision } from "../../engine/decide/decide.ts";
import { putQuestions } from "../../engine/decide/prompt.ts";
import type { Question } from "../../engine/decide/question.ts";
import type { InputTree } from "../../engine/decide/tree.ts";
import { smallModel } from "./small.ts";

const CHOICE: Question = { kind: "choice", instructions: " ", options: [{ text: "red" }, { text: "blue" }] };
const PREDICATE: Question = { kind: "predicate", instructions: "" };

describe("a question that says nothing", () => {
  it.each<[Question, string]>([
    [CHOICE, "Which of these fits best?"],
    [{ ...CHOICE, kind: "score" }, "Which level fits best?"],
    [PREDICATE, "Is this true?"],
  ])("is the usual one to branches and letters: %j", async (question, said) => {
    for (const form of ["branches", "letters"] as const) {
      const model = await smallModel(form);
      const [{ tokens, questions }] = putQuestions({ input: "x", questions: [question] }, model) as [InputTree];
      const read = model.text.decode([...tokens, ...questions[0]!.tokens]);
      expect(read, form).toContain(said);
      expect(read, form).not.toContain("Is the following true?");
    }
  });

  it("is none by likelihood: the options are what may follow the input", async () => {
    const model = await smallModel("likelihood");
    const [tree] = putQuestions({ input: "x", questions: [CHOICE] }, model);
    expect([...tree!.tokens, ...tree!.questions[0]!.tokens]).toEqual(model.text.encodeChat([{ role: "user", content: "x" }]));
  });

  it("lets the shipped model decide what it was trained to answer", async () => {
    const model = await loadNodeModel("nano", "wasm");
    const input = "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?";
    const options = Array.from("0123456789", (text) => ({ text }));
    const { answers, form } = await decide(prepareDecision(model, { input, questions: [{ kind: "choice", instructions: "", options }] }));
    expect({ form, best: answers[0]!.best }).toEqual({ form: "likelihood", best: 5 });
    expect(answers[0]!.probabilities[5]).toBeGreaterThan(0.9);
  });
});

/**
 * Problems in text, asked as decisions: a choice between the answers that its task has anywhere in the data, the prompt
 * left as it is. So a model's decisions stand beside its text answers, on the same rows.
 */
import type { ChoiceQuestion } from "../../engine/decide/question.ts";
import type { Problem } from "../eval-score.ts";
import type { DecisionRow } from "./rows.ts";

export function problemsAsDecisions(problems: readonly Problem[]): DecisionRow[] {
  const answers = new Map<string, Set<string>>();
  for (const { task, answer } of problems) answers.set(task, (answers.get(task) ?? new Set()).add(answer.trim()));
  return problems.map(({ task, prompt, answer }) => {
    const options = [...answers.get(task)!].sort();
    const question: ChoiceQuestion = { kind: "choice", instructions: "", options: options.map((text) => ({ text })) };
    return {
      task,
      input: prompt,
      question,
      labels: options.map((text) => JSON.stringify(text)),
      gold: options.indexOf(answer.trim()),
      negation: undefined,
      renamed: () => ({ input: prompt, questions: [question] }),
    };
  });
}

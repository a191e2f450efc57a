/**
 * Labelled lines: {"input", "label"}, or {"input", "question", "gold"} as `fathom eval --decisions` reads them. Grouped by
 * the question that they answer; every line that is wrong is named. Not here: what is fitted to them.
 */
import { readFile } from "node:fs/promises";
import type { Question, QuestionKind } from "../../engine/decide/question.ts";
import { FathomError } from "../../engine/errors.ts";
import { nearest } from "../../engine/nearest.ts";
import { parseDecisionRow } from "../decision-eval/rows.ts";

export interface LabelledRow {
  readonly input: string;
  readonly question: Question;
  /** Index in the labels; undefined where none fits. */
  readonly target: number | undefined;
}

/** Rows that answer one question, and its labels. */
export interface LabelledQuestion {
  readonly kind: QuestionKind;
  /** What is asked; undefined: the lines have labels and no question, so any choice is meant. */
  readonly instructions: string | undefined;
  /** What a model reads of each label; of a predicate "no" and "yes", which are not read. */
  readonly texts: readonly string[];
  readonly rows: readonly LabelledRow[];
}

/** What a choice and a scale may have at most, as in POST /v1/decisions. */
const MOST_LABELS = { choice: 255, score: 10, predicate: 2 } as const;

const SHAPES = '{"input": text, "label": text, or null where none fits}, or {"input", "question", "gold"} as in fathom eval --decisions';
const FIELDS = ["input", "label", "question", "gold", "task", "negation"];

/** @throws {FathomError} invalid_request naming file and line, or the question whose labels are too few or too many */
export async function readLabelledQuestions(files: readonly string[]): Promise<LabelledQuestion[]> {
  const questions = new Map<string, OpenQuestion>();
  for (const file of files) {
    const text = await readFile(file, "utf8").catch((cause: unknown) => {
      throw new FathomError("invalid_request", `Cannot read ${file}.`, "labels", { cause });
    });
    text.split("\n").forEach((line, i) => {
      if (line.trim() !== "") addLine(questions, line, `${file}:${i + 1}`);
    });
  }
  if (questions.size === 0) throw wrong(files.join(", "), `there are no lines; expected ${SHAPES}`);
  return Array.from(questions.values(), closed);
}

interface OpenQuestion {
  readonly kind: QuestionKind;
  readonly instructions: string | undefined;
  readonly texts: string[];
  readonly rows: { readonly input: string; readonly question: Question; readonly text: string | undefined }[];
  readonly where: string;
}

function addLine(questions: Map<string, OpenQuestion>, line: string, where: string): void {
  const { kind, instructions, texts, ...row } = parseLine(line, where);
  const key = JSON.stringify([kind, instructions]);
  const open = questions.get(key) ?? { kind, instructions, texts: [], rows: [], where };
  questions.set(key, open);
  if (kind === "score" && open.texts.length > 0 && texts.join("\n") !== open.texts.join("\n"))
    throw wrong(where, `the levels are not those of the question's first line (${open.where}); a scale has one set of levels`);
  for (const text of texts) if (!open.texts.includes(text)) open.texts.push(text);
  open.rows.push(row);
}

interface ParsedLine {
  readonly kind: QuestionKind;
  readonly instructions: string | undefined;
  readonly texts: readonly string[];
  readonly input: string;
  readonly question: Question;
  readonly text: string | undefined;
}

function parseLine(line: string, where: string): ParsedLine {
  const fields = objectOf(line, where);
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, FIELDS);
    throw wrong(
      where,
      `there is no field ${JSON.stringify(unknown)}${meant === undefined ? "" : `; did you mean ${meant}?`} Expected ${SHAPES}`,
    );
  }
  if (Object.hasOwn(fields, "label")) return labelLine(fields, where);
  const { input, question, gold } = parseDecisionRow(line, where, "");
  const texts = question.kind === "predicate" ? ["no", "yes"] : question.options.map(({ text }) => text.trim());
  const text = gold === undefined ? undefined : texts[gold]!;
  return { kind: question.kind, instructions: question.instructions.trim(), texts: [...new Set(texts)], input, question, text };
}

function labelLine({ input, label, ...others }: Record<string, unknown>, where: string): ParsedLine {
  const other = Object.keys(others)[0];
  if (other !== undefined) throw wrong(where, `label and ${other} do not go together; expected ${SHAPES}`);
  if (typeof input !== "string" || input.trim() === "") throw wrong(where, `input must be a text that is not blank; expected ${SHAPES}`);
  if (label !== null && (typeof label !== "string" || label.trim() === ""))
    throw wrong(where, `label must be a text that is not blank, or null where none fits, not ${JSON.stringify(label)}`);
  const text = label?.trim();
  const texts = text === undefined ? [] : [text];
  const question: Question = { kind: "choice", instructions: "", options: texts.map((own) => ({ text: own })) };
  return { kind: "choice", instructions: undefined, texts, input, question, text };
}

function objectOf(line: string, where: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw wrong(where, `not JSON: ${(cause as Error).message}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw wrong(where, `expected ${SHAPES}`);
  return json as Record<string, unknown>;
}

function closed({ kind, instructions, texts, rows, where }: OpenQuestion): LabelledQuestion {
  const asked = instructions === undefined ? "the labels" : `the question ${JSON.stringify(instructions)}`;
  const used = new Set(rows.flatMap(({ text }) => (text === undefined ? [] : [text])));
  if (used.size < 2)
    throw wrong(
      where,
      `${asked}: all lines have ${used.size === 0 ? "no label" : `the label ${JSON.stringify([...used][0])}`}; give lines of two labels or more`,
    );
  if (texts.length > MOST_LABELS[kind]) throw wrong(where, `${asked}: ${texts.length} different labels, of at most ${MOST_LABELS[kind]}`);
  return {
    kind,
    instructions,
    texts,
    rows: rows.map(({ input, question, text }) => ({ input, question, target: text === undefined ? undefined : texts.indexOf(text) })),
  };
}

function wrong(where: string, what: string, cause?: unknown): FathomError {
  return new FathomError("invalid_request", `${where}: ${what}${/[.?!]$/.test(what) ? "" : "."}`, "labels", { cause });
}

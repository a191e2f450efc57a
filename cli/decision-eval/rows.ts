/**
 * Labelled decisions: lines of {"input", "question", "gold"}, input and question in the shape of POST /v1/decisions, so
 * that a file can be made from what a service was asked. Not here: problems in text, asked as decisions (problems.ts).
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { DecisionRequest, Question } from "../../engine/decide/question.ts";
import { FathomError } from "../../engine/errors.ts";
import { parseDecisions } from "../../worker/decisions/openai.ts";
import { parseSent, type SentJson } from "../../worker/decisions/sent-json.ts";

export interface DecisionRow {
  readonly task: string;
  readonly input: string;
  readonly question: Question;
  /** Labels by class, as JSON: choices' values, levels' numbers, false and true of a predicate. */
  readonly labels: readonly string[];
  /** Index of the right class; undefined: nothing fits. */
  readonly gold: number | undefined;
  /** The statement that holds where a predicate's does not. */
  readonly negation: string | undefined;
  /** The request, its question under another name. */
  renamed(name: string): DecisionRequest;
}

const SHAPE =
  '{"input": ..., "question": {"type": "predicate" | "choice" | "score", ...} as in POST /v1/decisions, "gold": a choice\'s value, true or false, a level\'s number, or null where nothing fits, "task"?: text, "negation"?: text}';

/** @param most rows of each task [default all] @throws {FathomError} invalid_request naming file and line */
export async function readDecisionRows(files: readonly string[], most = Infinity): Promise<DecisionRow[]> {
  const rows: DecisionRow[] = [];
  const taken = new Map<string, number>();
  for (const file of files) {
    const text = await readFile(file, "utf8").catch((cause: unknown) => {
      throw new FathomError("invalid_request", `Cannot read ${file}.`, "--decisions", { cause });
    });
    text.split("\n").forEach((line, i) => {
      if (line.trim() === "") return;
      const row = parseDecisionRow(line, `${file}:${i + 1}`, basename(file).replace(/\.jsonl?$/, ""));
      const before = taken.get(row.task) ?? 0;
      taken.set(row.task, before + 1);
      if (before < most) rows.push(row);
    });
  }
  if (rows.length === 0) throw new FathomError("invalid_request", `${files.join(", ")} hold no decisions.`, "--decisions");
  return rows;
}

interface WireQuestion {
  readonly choices?: readonly { readonly value: string | boolean }[];
  readonly levels?: readonly unknown[];
}

/** One line. @param where file and line, for messages @throws {FathomError} invalid_request */
export function parseDecisionRow(line: string, where: string, fallbackTask: string): DecisionRow {
  const sent = sentLine(line, where);
  const { input, question, gold, task = fallbackTask, negation } = sent.value as Record<string, unknown>;
  if (gold === undefined || typeof task !== "string" || (negation !== undefined && typeof negation !== "string"))
    throw wrong(where, `expected ${SHAPE}`);
  const written = (value: unknown): string => (typeof value === "object" && value !== null ? sent.write(value) : JSON.stringify(value));
  const requestOf = (asked: string): DecisionRequest =>
    parseDecisions(parseSent(`{"input":${written(input)},"questions":[${asked}]}`), "").request;
  if (input === undefined || typeof question !== "object" || question === null) throw wrong(where, `expected ${SHAPE}`);
  const request = refuseAt(where, () => requestOf(sent.write(question)));
  const [parsed] = request.questions as [Question];
  const labels = labelsOf(parsed, question);
  return {
    task,
    input: request.input,
    question: parsed,
    labels,
    gold: goldOf(gold, labels, parsed, where),
    negation,
    renamed: (name) => requestOf(JSON.stringify({ ...question, name })),
  };
}

function sentLine(line: string, where: string): SentJson {
  try {
    const sent = parseSent(line);
    if (typeof sent.value === "object" && sent.value !== null && !Array.isArray(sent.value)) return sent;
  } catch {
    // said below
  }
  throw wrong(where, `expected ${SHAPE}`);
}

/** The wire's own messages, with the place. */
function refuseAt<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw wrong(where, (cause as Error).message.replace(/\.$/, ""), cause);
  }
}

function labelsOf({ kind }: Question, asked: WireQuestion): string[] {
  if (kind === "predicate") return ["false", "true"];
  if (kind === "choice") return asked.choices!.map(({ value }) => JSON.stringify(value));
  return asked.levels!.map((_, level) => `${level}`);
}

function goldOf(gold: unknown, labels: readonly string[], { kind }: Question, where: string): number | undefined {
  if (gold === null && kind !== "predicate") return undefined;
  const index = labels.indexOf(JSON.stringify(gold));
  if (index >= 0) return index;
  const shown = labels.length > 10 ? `${labels.slice(0, 10).join(", ")}, ...` : labels.join(", ");
  throw wrong(where, `gold is ${JSON.stringify(gold)}; a ${kind}'s is one of ${shown}${kind === "predicate" ? "" : ", or null"}`);
}

function wrong(where: string, what: string, cause?: unknown): FathomError {
  return new FathomError("invalid_request", `${where}: ${what}.`, "--decisions", { cause });
}

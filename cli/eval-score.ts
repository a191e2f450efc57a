/**
 * Scoring: problems from JSONL, one answer each, and their summary by task and level.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { answer } from "../engine/decode/answer.ts";
import { FathomError } from "../engine/errors.ts";
import type { ExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";

export interface Problem {
  readonly task: string;
  readonly level: number | undefined;
  readonly prompt: string;
  readonly answer: string;
}

export interface Score {
  readonly right: boolean;
  /** Core iterations of every row (prompt positions and generated tokens), summed. */
  readonly rowIterations: number;
  readonly rows: number;
  /** Iterations of the call that produced the first token. */
  readonly firstIterations: number;
  readonly ms: number;
}

export interface EvalRow {
  readonly task: string;
  readonly level: number | undefined;
  /** The limit. */
  readonly iterations: number;
  readonly n: number;
  /** Share answered exactly, 0..1. */
  readonly accuracy: number;
  /** Core iterations a row, over all rows of all answers: what the work was. */
  readonly meanIterations: number;
  readonly meanFirstIterations: number;
  readonly msPerAnswer: number;
}

/** Room for the longest answer of a data set, beyond its own length in tokens: a wrong answer must not run on. */
const SPARE_TOKENS = 2;

/** The problems that a model folder brings along. @throws {FathomError} invalid_request where it has none */
export async function evalFiles(modelFolder: string): Promise<string[]> {
  const folder = join(modelFolder, "eval");
  const files = (await readdir(folder).catch(() => [])).filter((f) => f.endsWith(".jsonl")).toSorted();
  if (files.length === 0) throw new FathomError("invalid_request", `${folder} holds no .jsonl files; name some with --data.`, "--data");
  return files.map((f) => join(folder, f));
}

/** @throws {FathomError} invalid_request naming file and line */
export async function readProblems(files: readonly string[], most?: number): Promise<Problem[]> {
  const problems: Problem[] = [];
  const taken = new Map<string, number>();
  for (const file of files) {
    const text = await readFile(file, "utf8").catch((cause: unknown) => {
      throw new FathomError("invalid_request", `Cannot read ${file}.`, "--data", { cause });
    });
    text.split("\n").forEach((line, i) => {
      if (line.trim() === "") return;
      const problem = parseProblem(line, `${file}:${i + 1}`, basename(file).replace(/\.jsonl?$/, ""));
      const key = `${problem.task} ${problem.level}`;
      const before = taken.get(key) ?? 0;
      taken.set(key, before + 1);
      if (most === undefined || before < most) problems.push(problem);
    });
  }
  if (problems.length === 0) throw new FathomError("invalid_request", `${files.join(", ")} hold no problems.`, "--data");
  return problems;
}

function parseProblem(line: string, where: string, fallbackTask: string): Problem {
  let json: Partial<Record<keyof Problem, unknown>> | null;
  try {
    json = JSON.parse(line) as typeof json;
  } catch {
    json = null;
  }
  const { prompt, answer: expected, task = fallbackTask, level } = json ?? {};
  if (
    typeof prompt !== "string" ||
    typeof expected !== "string" ||
    typeof task !== "string" ||
    (level !== undefined && typeof level !== "number")
  )
    throw new FathomError(
      "invalid_request",
      `${where}: expected {"prompt": text, "answer": text, "task"?: text, "level"?: number}.`,
      "--data",
    );
  return { task, level, prompt, answer: expected };
}

/** Answers one problem greedily and compares exactly, spaces at the ends apart. */
export async function score(model: Model, problem: Problem, iterations: number, exit: ExitRule): Promise<Score> {
  const prompt = model.text.encodeChat([{ role: "user", content: problem.prompt }]);
  const maxTokens = model.text.encode(` ${problem.answer}`).length + SPARE_TOKENS;
  let text = "";
  let [rowIterations, rows, firstIterations] = [0, 0, 0];
  const start = performance.now();
  for await (const { text: piece, token } of answer(model, { prompt, maxTokens, iterations, exit, cache: model.card.cacheStrategy })) {
    text += piece;
    if (token === undefined) continue;
    rowIterations += token.rowIterations;
    rows += token.rows;
    if (token.index === 0) firstIterations = token.iterations;
  }
  return { right: text.trim() === problem.answer.trim(), rowIterations, rows, firstIterations, ms: performance.now() - start };
}

/** One row a task and level, in the order of first appearance. */
export function summarise(problems: readonly Problem[], scores: readonly Score[], iterations: number): EvalRow[] {
  const groups = new Map<string, { problem: Problem; scores: Score[] }>();
  problems.forEach((problem, i) => {
    const key = `${problem.task} ${problem.level}`;
    const group = groups.get(key) ?? { problem, scores: [] };
    group.scores.push(scores[i]!);
    groups.set(key, group);
  });
  const sum = (list: readonly Score[], of: (s: Score) => number): number => list.reduce((total, s) => total + of(s), 0);
  return [...groups.values()].map(({ problem, scores: list }) => ({
    task: problem.task,
    level: problem.level,
    iterations,
    n: list.length,
    accuracy: sum(list, (s) => (s.right ? 1 : 0)) / list.length,
    meanIterations: sum(list, (s) => s.rowIterations) / sum(list, (s) => s.rows),
    meanFirstIterations: sum(list, (s) => s.firstIterations) / list.length,
    msPerAnswer: sum(list, (s) => s.ms) / list.length,
  }));
}

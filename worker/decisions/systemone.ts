/**
 * The one file that knows the shape of TypeSafe's POST /v1/systemone: its body to a request without a wire, and answers
 * back. Questions and options are keyed by the caller's own names, which keep their order and come back as they were
 * sent, whatever they are; names of questions are never shown to the model.
 */
import * as v from "valibot";
import { choiceConfidence, scoreConfidence } from "../../engine/decide/confidence.ts";
import type { Answer, Question } from "../../engine/decide/question.ts";
import { checkNamed, excerpt, object, strictObject, type Key } from "../check.ts";
import { ApiError } from "../errors.ts";
import { fieldName } from "./paths.ts";
import { linesText, joinParts, levelText, optionText, withCriteria, type InputLine } from "./render.ts";
import {
  answerFields,
  MOST,
  OWN_FIELDS,
  ownFields,
  refuseBlank,
  reportFields,
  withModel,
  type DecisionReport,
  type ParsedDecision,
} from "./request.ts";
import { list, tagged } from "./schemas.ts";
import type { SentJson } from "./sent-json.ts";

type Entry = string | object;

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null;
const isEntry = (value: unknown): value is Entry => typeof value === "string" || isContainer(value);
const entry = v.custom<Entry>(isEntry, "a text, an object or a list");
const description = v.nullish(v.custom<Entry>(isEntry, "a text, an object, a list or null"));
const names = v.custom<object>((value) => isContainer(value) && !Array.isArray(value), "an object with a name for each option");

/** A question of POST /v1/systemone. */
export const namedQuestion = tagged(
  "type",
  {
    noul: object(
      {
        type: v.literal("noul"),
        instructions: description,
        criteria: v.nullish(strictObject({ true: description, false: description }, "an object with true, false or both")),
      },
      "a question",
    ),
    choice: object({ type: v.literal("choice"), instructions: description, criteria: names }, "a question"),
    score: object(
      { type: v.literal("score"), instructions: description, criteria: list(description, 2, MOST.levels, "levels, lowest first") },
      "a question",
    ),
  },
  "noul, choice or score",
);

/** Fields that would change the answer, and cannot be read here. */
const UNREAD = ["images", "files"] as const;

/** The body of POST /v1/systemone. */
export const systemOneBody = object(
  {
    model: v.string("the name of a model"),
    state: entry,
    questions: v.custom<object>((value) => isContainer(value) && !Array.isArray(value), "an object of questions by name"),
    ...OWN_FIELDS,
  },
  "a JSON object",
);

type WireQuestion = v.InferOutput<typeof namedQuestion>;

/** A question, and what its answer is keyed by. */
interface Asked {
  readonly id: string;
  readonly wire: WireQuestion;
  /** Options of a choice, in the order sent. */
  readonly options: readonly [string, Entry | null][];
}

/**
 * Checks a body; the budget's own fields are checked later, against the model.
 * @param model its name, where the body need not say it
 * @throws {ApiError} 400 with the field
 */
export function parseSystemOne(sent: SentJson, model?: string): ParsedDecision {
  const parsed = checkNamed(systemOneBody, withModel(sent.value, model), ({ keys }) => fieldName(keys));
  refuseUnread(sent.value as object, []);
  const questions = sent.entries(parsed.questions);
  if (questions.length === 0 || questions.length > MOST.questions)
    throw invalid(["questions"], `must be an object of 1 to ${MOST.questions} questions by name, not of ${questions.length}`);
  const input = stateText(parsed.state, sent);
  refuseBlank(input, "state");
  const asked = questions.map(([id, given]) => readQuestion(id, given, sent));
  return {
    request: {
      model: parsed.model,
      input,
      questions: asked.map((each) => questionOf(each, sent)),
      cacheKey: undefined,
      ...ownFields(parsed),
    },
    respond: (model, report) => ({
      model,
      answers: new Map(asked.map((each, i) => [each.id, answerObject(each, report.decision.answers[i]!)])),
      usage: usageObject(report),
      ...reportFields(report),
    }),
    rename: (param) => ownName(param, asked),
  };
}

/** The engine knows questions by their place. */
function ownName(param: string, asked: readonly Asked[]): string {
  if (param === "input") return "state";
  const place = /^questions\[(\d+)\]$/.exec(param)?.[1];
  return place === undefined ? param : fieldName(["questions", asked[Number(place)]!.id]);
}

function readQuestion(id: string, given: unknown, sent: SentJson): Asked {
  const path = ["questions", id];
  if (id === "") throw invalid(["questions"], "must name each question by a text that is not empty");
  const wire = checkNamed(namedQuestion, given, ({ keys }) => fieldName([...path, ...keys]));
  refuseUnread(given as object, path);
  if (wire.type !== "choice") return { id, wire, options: [] };
  const options = sent.entries(wire.criteria).map(([name, said]): [string, Entry | null] => {
    if (said !== null && !isEntry(said))
      throw invalid([...path, "criteria", name], `must be a text, an object, a list or null, not ${excerpt(said)}`);
    return [name, said];
  });
  if (options.length === 0 || options.length > MOST.choices)
    throw invalid([...path, "criteria"], `must be an object with 1 to ${MOST.choices} options, not with ${options.length}`);
  return { id, wire, options };
}

function invalid(keys: readonly Key[], what: string): ApiError {
  return new ApiError(400, "invalid_value", `${fieldName(keys)} ${what}.`, fieldName(keys));
}

/** Nothing that a model would have to see is passed over. */
function refuseUnread(given: object, path: readonly Key[]): void {
  for (const field of UNREAD) {
    const value = (given as Readonly<Record<string, unknown>>)[field];
    if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) continue;
    const param = fieldName([...path, field]);
    throw new ApiError(400, "unsupported_parameter", `${param} is not supported, as nothing but text is read here; leave it out.`, param);
  }
}

function questionOf({ id, wire, options }: Asked, sent: SentJson): Question {
  const said = entryText(wire.instructions, sent);
  if (wire.type === "noul") {
    const { true: yes, false: no } = wire.criteria ?? {};
    return {
      kind: "predicate",
      instructions: withCriteria(said, entryText(yes, sent), entryText(no, sent)),
    };
  }
  if (wire.type === "score")
    return {
      kind: "score",
      instructions: said,
      options: wire.criteria.map((level, i) => ({ text: levelText(i, entryText(level, sent)) })),
    };
  const texts = options.map(([name, meaning]) => {
    const text = optionText(name, entryText(meaning, sent));
    if (text.trim() === "") throw invalid(["questions", id, "criteria"], "must give an option with a blank name a description");
    return { text };
  });
  return { kind: "choice", instructions: said, options: texts };
}

function entryText(given: Entry | null | undefined, sent: SentJson): string {
  if (given === null || given === undefined) return "";
  return typeof given === "string" ? given : sent.write(given);
}

/** A conversation is read as /v1/decisions reads one; everything else that is not a text as JSON. */
function stateText(state: Entry, sent: SentJson): string {
  if (typeof state === "string") return state;
  const lines = Array.isArray(state) && state.length > 0 ? state.map(messageLine) : [undefined];
  return lines.every((line) => line !== undefined) ? linesText(lines) : sent.write(state);
}

const PARTS_OF_TEXT = ["text", "input_text", "output_text"];

/** A message's line; undefined where an element is more, or something else, than a message of text. */
function messageLine(element: unknown): InputLine | undefined {
  if (!isContainer(element)) return undefined;
  const { role, content, type = "message", ...rest } = element as Readonly<Record<string, unknown>>;
  if (typeof role !== "string" || type !== "message" || Object.keys(rest).length > 0) return undefined;
  if (typeof content === "string") return { kind: "message", role, text: content };
  if (!Array.isArray(content)) return undefined;
  const parts = content.map((part: unknown) => {
    const { type: kind, text } = Object(part) as { type?: unknown; text?: unknown };
    return typeof text === "string" && PARTS_OF_TEXT.includes(kind as string) ? text : undefined;
  });
  return parts.every((part) => part !== undefined) ? { kind: "message", role, text: joinParts(parts) } : undefined;
}

function answerObject({ wire, options }: Asked, answer: Answer): object {
  const { probabilities } = answer;
  const own = answerFields(answer);
  if (wire.type === "noul") return { type: "noul", noul: probabilities[0], ...own };
  if (wire.type === "choice")
    return {
      type: "choice",
      choice: options[answer.best]![0],
      probabilities: new Map(options.map(([name], i) => [name, probabilities[i]])),
      confidence: choiceConfidence(probabilities),
      ...own,
    };
  return {
    type: "score",
    score: answer.score,
    legend: Object.fromEntries(wire.criteria.map((level, i) => [i, level ?? null])),
    probabilities: Object.fromEntries(probabilities.map((p, i) => [i, p])),
    confidence: scoreConfidence(probabilities),
    ...own,
  };
}

function usageObject({ decision: { usage } }: DecisionReport): object {
  return { input_tokens: usage.inputTokens, output_tokens: 0 };
}

/**
 * The one file that knows the shape of OpenAI's POST /v1/decisions: its body to a request without a wire, and answers
 * back. What is refused is refused here, by the field's name; nothing is cut or dropped.
 */
import * as v from "valibot";
import { choiceConfidence, scoreConfidence } from "../../engine/decide/confidence.ts";
import type { Answer, Question } from "../../engine/decide/question.ts";
import { checkNamed, excerpt, object, strictObject, type Finding } from "../check.ts";
import { ApiError } from "../errors.ts";
import { refuseForeign } from "../foreign-fields.ts";
import { fieldName } from "./paths.ts";
import { joinParts, linesText, optionText, type InputLine } from "./render.ts";
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
import { chosen, list, tagged, text, textOrList, visibleText } from "./schemas.ts";
import type { SentJson } from "./sent-json.ts";

const TEXT_ALONE = "as this model reads no images";

const textPart = object({ type: v.literal("input_text"), text }, "a part");
const jsonData = v.custom<object>((value) => typeof value === "object" && value !== null, "an object, or a list of objects");
const jsonPart = object({ type: v.literal("input_json"), data: jsonData }, "a part");
const inputText = tagged("type", { input_text: textPart }, `input_text, ${TEXT_ALONE}`);
const inputPart = tagged("type", { input_text: textPart, input_json: jsonPart }, `input_text or input_json, ${TEXT_ALONE}`);
const saidPart = tagged(
  "type",
  {
    output_text: object({ type: v.literal("output_text"), text }, "a part"),
    refusal: object({ type: v.literal("refusal"), refusal: text }, "a part"),
  },
  "output_text or refusal",
);
const textContent = textOrList(inputText, "parts");
const anyContent = textOrList(inputPart, "parts");
const saidContent = textOrList(saidPart, "parts");

const message = tagged(
  "role",
  {
    user: object({ role: v.literal("user"), content: anyContent }, "a message"),
    developer: object({ role: v.literal("developer"), content: textContent }, "a message"),
    system: object({ role: v.literal("system"), content: textContent }, "a message"),
    assistant: object({ role: v.literal("assistant"), content: saidContent }, "a message"),
  },
  "user, developer, system or assistant",
);
const item = tagged(
  "type",
  {
    message,
    function_call: object(
      { type: v.literal("function_call"), call_id: text, name: text, arguments: text, namespace: v.nullish(text) },
      "a call",
    ),
    function_call_output: object({ type: v.literal("function_call_output"), call_id: text, output: textContent }, "an output"),
    custom_tool_call: object(
      { type: v.literal("custom_tool_call"), call_id: text, name: text, input: text, namespace: v.nullish(text) },
      "a call",
    ),
    custom_tool_call_output: object({ type: v.literal("custom_tool_call_output"), call_id: text, output: textContent }, "an output"),
  },
  "message, function_call, function_call_output, custom_tool_call or custom_tool_call_output",
  "message",
);

const name = v.nullish(text);
const yesOrNo = v.boolean("a text, or true or false");
const valueOfChoice = chosen<string | boolean>([text, yesOrNo], (value) => (typeof value === "string" ? text : yesOrNo));
const choice = strictObject({ value: valueOfChoice, description: v.nullish(text) }, "an object with a value");
const level = strictObject({ label: visibleText, description: v.nullish(text) }, "an object with a label");
const question = tagged(
  "type",
  {
    predicate: strictObject({ type: v.literal("predicate"), instructions: anyContent, name }, "a question"),
    choice: strictObject(
      { type: v.literal("choice"), instructions: anyContent, name, choices: list(choice, 2, MOST.choices, "choices") },
      "a question",
    ),
    score: strictObject(
      { type: v.literal("score"), instructions: anyContent, name, levels: list(level, 2, MOST.levels, "levels") },
      "a question",
    ),
  },
  "predicate, choice or score",
);

const FIELDS = {
  model: v.string("the name of a model"),
  input: textOrList(item, "messages and calls"),
  questions: list(question, 1, MOST.questions, "questions"),
  prompt_cache_key: v.nullish(text),
  prompt_cache_options: v.nullish(object({}, "an object")),
  safety_identifier: v.nullish(text),
  ...OWN_FIELDS,
};
/** The body of POST /v1/decisions. */
export const decisionsBody = object(FIELDS, "a JSON object");

type Body = v.InferOutput<typeof decisionsBody>;
type WireQuestion = Body["questions"][number];
type Content = v.InferOutput<typeof anyContent> | v.InferOutput<typeof saidContent>;

/**
 * Checks a body; the budget's own fields are checked later, against the model.
 * @param model its name, where the body need not say it
 * @throws {ApiError} 400 with the field
 */
export function parseDecisions(sent: SentJson, model?: string): ParsedDecision {
  const value = withModel(sent.value, model);
  const parsed = checkNamed(decisionsBody, value, nameOf);
  refuseForeign({ ignored: new Set(), unsupported: {} }, FIELDS, value as object);
  parsed.questions.forEach(refuseSameChoices);
  const questions = parsed.questions.map((asked, i) => questionOf(asked, i, sent));
  const input = inputOf(parsed.input, sent);
  refuseBlank(input, "input");
  const isRefused = parsed.abstain?.refuse ?? false;
  return {
    request: { model: parsed.model, input, questions, cacheKey: parsed.prompt_cache_key ?? undefined, ...ownFields(parsed) },
    respond: (model, report) => ({
      model,
      answers: parsed.questions.map((asked, i) => answerObject(asked, report.decision.answers[i]!, isRefused)),
      usage: usageObject(report),
      ...reportFields(report),
    }),
  };
}

function nameOf({ keys }: Finding): string {
  return fieldName(keys);
}

function inputOf(given: Body["input"], sent: SentJson): string {
  if (typeof given === "string") return given;
  const calls = new Map<string, string>();
  for (const each of given)
    if ("call_id" in each && "name" in each) calls.set(each.call_id, each.namespace ? `${each.namespace}.${each.name}` : each.name);
  return linesText(
    given.map((each, i): InputLine => {
      if ("role" in each) return { kind: "message", role: each.role, text: contentText(each.content, sent) };
      const called = calls.get(each.call_id);
      if (called === undefined) {
        const param = fieldName(["input", i, "call_id"]);
        throw new ApiError(
          400,
          "invalid_value",
          `${param} must be the call_id of a call within input, not ${excerpt(each.call_id)}.`,
          param,
        );
      }
      if ("output" in each) return { kind: "output", name: called, text: contentText(each.output, sent) };
      return { kind: "call", name: called, text: "arguments" in each ? each.arguments : each.input };
    }),
  );
}

function contentText(content: Content, sent: SentJson): string {
  if (typeof content === "string") return content;
  return joinParts(content.map((part) => ("data" in part ? sent.write(part.data) : "refusal" in part ? part.refusal : part.text)));
}

/** Values are the same where type and text are. */
function refuseSameChoices(asked: WireQuestion, i: number): void {
  if (asked.type !== "choice") return;
  const seen = new Set<string | boolean>();
  for (const [k, { value }] of asked.choices.entries()) {
    const param = fieldName(["questions", i, "choices", k, "value"]);
    if (seen.has(value))
      throw new ApiError(400, "invalid_value", `${param} must differ from the other choices, but ${excerpt(value)} is there twice.`, param);
    seen.add(value);
  }
}

function questionOf(asked: WireQuestion, i: number, sent: SentJson): Question {
  const said = contentText(asked.instructions, sent);
  if (asked.type === "predicate") return { kind: "predicate", instructions: said };
  const texts =
    asked.type === "choice"
      ? asked.choices.map(({ value, description }) => optionText(`${value}`, description ?? undefined))
      : asked.levels.map(({ label, description }) => optionText(label, description ?? undefined));
  const blank = texts.findIndex((option) => option.trim() === "");
  if (blank >= 0) {
    const param = fieldName(["questions", i, "choices", blank, "value"]);
    throw new ApiError(400, "invalid_value", `${param} must not be blank where there is no description.`, param);
  }
  return { kind: asked.type, instructions: said, options: texts.map((option) => ({ text: option })) };
}

function answerObject(asked: WireQuestion, answer: Answer, isRefused: boolean): object {
  const shared = { name: asked.name ?? null, ...answerFields(answer) };
  const { probabilities } = answer;
  if (answer.abstained && isRefused) return { type: "refusal", ...shared };
  if (asked.type === "predicate") return { type: "predicate", probability: probabilities[0], ...shared };
  if (asked.type === "choice")
    return {
      type: "choice",
      choice: asked.choices[answer.best]!.value,
      probabilities: asked.choices.map(({ value }, i) => ({ value, probability: probabilities[i] })),
      confidence: choiceConfidence(probabilities),
      ...shared,
    };
  return {
    type: "score",
    score: answer.score,
    probabilities: asked.levels.map(({ label }, value) => ({ value, label, probability: probabilities[value] })),
    confidence: scoreConfidence(probabilities),
    ...shared,
  };
}

/** Latent iterations are not tokens, and an answer is none either. */
function usageObject({ decision: { usage } }: DecisionReport): object {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens, cache_write_tokens: 0 },
    output_tokens: 0,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.inputTokens,
  };
}

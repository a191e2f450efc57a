/**
 * Bodies of both APIs of decisions -> the questions that a model is asked, and what is refused, by name. No model is here.
 */
import { describe, expect, it } from "vitest";
import { fieldKeys, fieldName } from "../../../worker/decisions/paths.ts";
import { parseDecisions } from "../../../worker/decisions/openai.ts";
import { parseSent, writeJson } from "../../../worker/decisions/sent-json.ts";
import { parseSystemOne } from "../../../worker/decisions/systemone.ts";
import { errorBody } from "../../../worker/error-body.ts";
import type { ApiError } from "../../../worker/errors.ts";

const asText = (body: unknown): string => (typeof body === "string" ? body : JSON.stringify(body));
const decisions = (body: unknown) => parseDecisions(parseSent(asText(body))).request;
const systemOne = (body: unknown) => parseSystemOne(parseSent(asText(body))).request;

const PREDICATE = { type: "predicate", instructions: "Is it late?" };
const choiceOf = (...values: unknown[]) => ({ type: "choice", instructions: "Which?", choices: values.map((value) => ({ value })) });
const ask = (...questions: unknown[]) => ({ model: "m", input: "It is noon.", questions });
const NOUL = { type: "noul", instructions: "Is it late?" };
const one = (questions: object, more: object = {}) => ({ model: "m", state: "It is noon.", questions, ...more });

function refusal(parse: (body: unknown) => unknown, body: unknown): ApiError {
  try {
    parse(body);
  } catch (error) {
    return error as ApiError;
  }
  throw new Error(`was taken: ${asText(body)}`);
}

describe("JSON as it was sent", () => {
  const text =
    '{"10":1.0,"2":[null,true,"a\\"b\\\\","-3",12345678901234567890,-1e-7],"__proto__":{"\\ud800":"한","":0},"a":"=b","#c":"#1"}';

  it("keeps the order of keys, the digits of numbers, and every text", () => {
    const sent = parseSent(text);
    expect(sent.value).toEqual(JSON.parse(text));
    expect(sent.write(sent.value as object)).toBe(text);
    expect(sent.entries(sent.value as object).map(([key]) => key)).toEqual(["10", "2", "__proto__", "a", "#c"]);
    expect(sent.entries(sent.value as object)[2]![1]).toEqual({ "\ud800": "한", "": 0 });
  });

  it("leaves out blanks and needless escapes", () => {
    const sent = parseSent('{ "a" : [ 1 , "\\u0041\\/" ] ,\n"b":{ } }');
    expect(sent.write(sent.value as object)).toBe('{"a":[1,"A/"],"b":{}}');
  });

  it("takes the last of two values of a key, as JSON.parse does", () => {
    const sent = parseSent('{"a":1,"b":2,"a":3}');
    expect(sent.entries(sent.value as object)).toEqual([
      ["a", 3],
      ["b", 2],
    ]);
  });

  it("refuses what is no JSON, and what is nested too deep", () => {
    expect(() => parseSent('{"a":}')).toThrow(SyntaxError);
    expect(refusal(parseSent as (body: unknown) => unknown, "[".repeat(99) + "]".repeat(99))).toMatchObject({ code: "nested_too_deep" });
  });

  it("is read in one pass, however many escapes there are", () => {
    const escapes = `["${'\\\\\\"'.repeat(1 << 20)}"]`;
    expect(parseSent(escapes).write(parseSent(escapes).value as object).length).toBeGreaterThan(0);
    const sent = parseSent(escapes);
    expect(sent.write(sent.value as object)).toBe(escapes);
  });

  it("is written with Maps as objects whose keys keep their order", () => {
    const map = new Map<string, unknown>([
      ["10", 1],
      ["2", [new Map([["__proto__", null]]), undefined]],
      ["é\ud800", { a: "x", b: undefined }],
    ]);
    expect(writeJson(map)).toBe('{"10":1,"2":[{"__proto__":null},null],"é\\ud800":{"a":"x"}}');
  });
});

describe("a field's name", () => {
  it.each([
    [["questions", 3, "choices"], "questions[3].choices"],
    [["questions", "a.b", "criteria", "10"], 'questions["a.b"].criteria["10"]'],
    [["questions", 'say "x"'], 'questions["say \\"x\\""]'],
    [[], ""],
  ])("of %j is %s", (keys, name) => expect(fieldName(keys)).toBe(name));

  it("gives its keys back", () => {
    expect(fieldKeys('questions[3].choices["a.b"].x')).toEqual(["questions", 3, "choices", "a.b", "x"]);
    expect(fieldKeys("budget.latency_ms")).toEqual(["budget", "latency_ms"]);
  });
});

describe("/v1/decisions", () => {
  it("asks what was sent", () => {
    const level = { label: "low", description: "can wait" };
    const read = decisions({
      ...ask(
        PREDICATE,
        { ...choiceOf(true, "true", "b"), name: "n" },
        { type: "score", instructions: [{ type: "input_text", text: "How urgent?" }], levels: [level, { label: "high" }] },
      ),
      prompt_cache_key: null,
      prompt_cache_options: { mode: "explicit", ttl: "30m" },
      safety_identifier: "s",
      budget: { iterations: 4 },
    });
    expect(read).toMatchObject({ model: "m", input: "It is noon.", budget: { iterations: 4 } });
    expect(read.questions).toEqual([
      { kind: "predicate", instructions: "Is it late?" },
      { kind: "choice", instructions: "Which?", options: [{ text: "true" }, { text: "true" }, { text: "b" }] },
      { kind: "score", instructions: "How urgent?", options: [{ text: "low: can wait" }, { text: "high" }] },
    ]);
  });

  it("reads messages, calls and outputs as lines, JSON as compact JSON in the order sent", () => {
    const body = `{"model":"m","questions":[${JSON.stringify(PREDICATE)}],"input":[
      {"role":"system","content":"Be strict."},
      {"type":"message","role":"user","content":[{"type":"input_text","text":"Look:","prompt_cache_breakpoint":{"mode":"explicit"}},{"type":"input_json","data":{"10":1.0, "2":[]}}]},
      {"role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"Hm."},{"type":"refusal","refusal":"No."}]},
      {"type":"function_call","call_id":"c1","name":"find","arguments":"{\\"q\\":1}","status":"completed"},
      {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"found"}]},
      {"type":"custom_tool_call","call_id":"c2","name":"run","input":"ls","namespace":"sh"},
      {"type":"custom_tool_call_output","call_id":"c2","output":"a b"}]}`;
    expect(decisions(body).input.split("\n")).toEqual([
      "system: Be strict.",
      "user: Look:",
      '{"10":1.0,"2":[]}',
      "assistant: Hm.",
      "No.",
      'call find: {"q":1}',
      "output find: found",
      "call sh.run: ls",
      "output sh.run: a b",
    ]);
  });

  it("takes 400 questions, 255 choices and 10 levels", () => {
    const choices = Array.from({ length: 255 }, (_, i) => `option ${i}`);
    expect(decisions(ask(choiceOf(...choices))).questions[0]).toMatchObject({ options: { length: 255 } });
    expect(decisions(ask(...Array.from({ length: 400 }, () => PREDICATE))).questions).toHaveLength(400);
    const levels = Array.from({ length: 10 }, (_, i) => ({ label: `${i}` }));
    expect(decisions(ask({ type: "score", instructions: "?", levels })).questions[0]).toMatchObject({ options: { length: 10 } });
  });

  const many = (count: number, of: (i: number) => unknown): unknown[] => Array.from({ length: count }, (_, i) => of(i));
  it.each<[string, unknown, string, string]>([
    ["no object", [], "invalid_type", ""],
    ["no model", { input: "a", questions: [PREDICATE] }, "missing_required_parameter", "model"],
    ["no input", { model: "m", questions: [PREDICATE] }, "missing_required_parameter", "input"],
    ["an empty input", { ...ask(PREDICATE), input: [] }, "invalid_value", "input"],
    ["a blank input", { ...ask(PREDICATE), input: " " }, "empty_prompt", "input"],
    ["no questions", ask(), "invalid_value", "questions"],
    ["401 questions", ask(...many(401, () => PREDICATE)), "invalid_value", "questions"],
    ["questions by name", { ...ask(), questions: { a: PREDICATE } }, "invalid_type", "questions"],
    ["another type", ask(PREDICATE, { type: "noul" }), "invalid_value", "questions[1].type"],
    ["no type", ask({ instructions: "?" }), "missing_required_parameter", "questions[0].type"],
    ["no instructions", ask({ type: "predicate" }), "missing_required_parameter", "questions[0].instructions"],
    ["criteria of a predicate", ask({ ...PREDICATE, criteria: {} }), "unknown_parameter", "questions[0].criteria"],
    ["a name that is no text", ask({ ...PREDICATE, name: 3 }), "invalid_type", "questions[0].name"],
    ["one choice", ask(choiceOf("a")), "invalid_value", "questions[0].choices"],
    ["256 choices", ask(choiceOf(...many(256, (i) => `${i}`))), "invalid_value", "questions[0].choices"],
    ["a number as a choice", ask(choiceOf("a", 3)), "invalid_type", "questions[0].choices[1].value"],
    ["null as a choice", ask(choiceOf(null, "a")), "invalid_type", "questions[0].choices[0].value"],
    ["a choice twice", ask(PREDICATE, choiceOf("a", true, "a")), "invalid_value", "questions[1].choices[2].value"],
    ["a boolean twice", ask(choiceOf(true, true)), "invalid_value", "questions[0].choices[1].value"],
    ["a blank choice", ask(choiceOf("a", " ")), "invalid_value", "questions[0].choices[1].value"],
    ["no choices", ask({ type: "choice", instructions: "?" }), "missing_required_parameter", "questions[0].choices"],
    ["one level", ask({ type: "score", instructions: "?", levels: [{ label: "a" }] }), "invalid_value", "questions[0].levels"],
    [
      "11 levels",
      ask({ type: "score", instructions: "?", levels: many(11, (i) => ({ label: `${i}` })) }),
      "invalid_value",
      "questions[0].levels",
    ],
    ["levels as texts", ask({ type: "score", instructions: "?", levels: ["a", "b"] }), "invalid_type", "questions[0].levels[0]"],
    ["another field", { ...ask(PREDICATE), temperature: 0 }, "unknown_parameter", "temperature"],
    ["an unknown role", { ...ask(PREDICATE), input: [{ role: "tool", content: "a" }] }, "invalid_value", "input[0].role"],
    ["an unknown item", { ...ask(PREDICATE), input: [{ type: "reasoning" }] }, "invalid_value", "input[0].type"],
    [
      "an image",
      { ...ask(PREDICATE), input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }] },
      "invalid_value",
      "input[0].content[0].type",
    ],
    [
      "an image in a question",
      ask({ ...PREDICATE, instructions: [{ type: "input_image" }] }),
      "invalid_value",
      "questions[0].instructions[0].type",
    ],
    [
      "JSON of an assistant",
      { ...ask(PREDICATE), input: [{ role: "assistant", content: [{ type: "input_json", data: {} }] }] },
      "invalid_value",
      "input[0].content[0].type",
    ],
    [
      "an output without its call",
      { ...ask(PREDICATE), input: [{ type: "function_call_output", call_id: "c", output: "a" }] },
      "invalid_value",
      "input[0].call_id",
    ],
    ["a fit above 1", { ...ask(PREDICATE), abstain: { fit: 2 } }, "invalid_value", "abstain.fit"],
    ["another way to abstain", { ...ask(PREDICATE), abstain: { fit: 1, mass: 1 } }, "unknown_parameter", "abstain.mass"],
  ])("refuses %s", (_what, body, code, param) => {
    const error = refusal(decisions, body);
    expect({ status: error.status, code: error.code, param: error.param ?? "" }).toEqual({ status: 400, code, param });
    expect(error.message).toMatch(/\.$/);
  });

  it("says that images are not read", () => {
    const error = refusal(decisions, { ...ask(PREDICATE), input: [{ role: "user", content: [{ type: "input_image" }] }] });
    expect(error.message).toBe(
      'input[0].content[0].type must be input_text or input_json, as this model reads no images, not "input_image".',
    );
  });
});

describe("/v1/systemone", () => {
  it("asks what was sent, by whatever names, in the order sent", () => {
    const read = systemOne(`{"model":"jev-latest","state":"s","extra":1,"questions":{
      "10":{"type":"choice","criteria":{"10":"ten","2":null,"__proto__":{"b":1.0},"\\ud800 한":[1]}},
      "2":{"type":"score","instructions":{"q":1},"criteria":["low",null,{"a":1}]},
      "__proto__":{"type":"noul","criteria":{"true":"yes it is","false":null}}}}`);
    expect(read.questions).toEqual([
      {
        kind: "choice",
        instructions: "",
        options: [{ text: "10: ten" }, { text: "2" }, { text: '__proto__: {"b":1.0}' }, { text: "\ud800 한: [1]" }],
      },
      { kind: "score", instructions: '{"q":1}', options: [{ text: "low" }, { text: "1" }, { text: '{"a":1}' }] },
      { kind: "predicate", instructions: "Is this true?\nYes: yes it is" },
    ]);
  });

  it("never shows a question's name to the model", () => {
    const [a, b] = ["first", "second: yes"].map((id) => systemOne(one({ [id]: NOUL })));
    expect(a).toEqual(b);
  });

  it.each<[string, object | undefined, string]>([
    ["no criteria", undefined, "Is it late?"],
    ["null", { criteria: null }, "Is it late?"],
    ["one", { criteria: { false: "before noon" } }, "Is it late?\nNo: before noon"],
    ["both", { criteria: { true: ["p.m."], false: "a.m." } }, 'Is it late?\nYes: ["p.m."]\nNo: a.m.'],
    ["no instructions", { instructions: null }, ""],
  ])("takes a noul with %s", (_what, more, instructions) => {
    expect(systemOne(one({ q: { ...NOUL, ...more } })).questions).toEqual([{ kind: "predicate", instructions }]);
  });

  it.each<[string, string]>([
    ['"a text"', "a text"],
    ['{"10": 1, "2": {"a": 0.50}}', '{"10":1,"2":{"a":0.50}}'],
    ["[1, 2]", "[1,2]"],
    ["[]", "[]"],
    [
      '[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]',
      "user: Hi\nassistant: a\nb",
    ],
    ['[{"role":"user","content":"Hi","id":1}]', '[{"role":"user","content":"Hi","id":1}]'],
  ])("reads the state %s", (state, input) => {
    expect(systemOne(`{"model":"m","state":${state},"questions":{"q":{"type":"noul"}}}`).input).toBe(input);
  });

  it("reads a conversation as /v1/decisions does", () => {
    const turns = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
    ];
    expect(systemOne(one({ q: NOUL }, { state: turns })).input).toBe(decisions({ ...ask(PREDICATE), input: turns }).input);
  });

  it("takes 1 and 255 options, 2 and 10 levels", () => {
    const named = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`o${i}`, null]));
    for (const count of [1, 255])
      expect(systemOne(one({ q: { type: "choice", criteria: named(count) } })).questions[0]).toMatchObject({ options: { length: count } });
    for (const count of [2, 10])
      expect(systemOne(one({ q: { type: "score", criteria: Array(count).fill(null) } })).questions[0]).toMatchObject({
        options: { length: count },
      });
  });

  const scored = (criteria: unknown) => one({ q: { type: "score", instructions: "?", criteria } });
  it.each<[string, unknown, string, string]>([
    ["no object", "[]", "invalid_type", ""],
    ["no state", { model: "m", questions: { q: NOUL } }, "missing_required_parameter", "state"],
    ["a number as state", one({ q: NOUL }, { state: 3 }), "invalid_type", "state"],
    ["null as state", one({ q: NOUL }, { state: null }), "invalid_type", "state"],
    ["no questions", one({}), "invalid_value", "questions"],
    ["a list of questions", { ...one({}), questions: [NOUL] }, "invalid_type", "questions"],
    ["an empty name", one({ "": NOUL }), "invalid_value", "questions"],
    ["no model", { state: "s", questions: { q: NOUL } }, "missing_required_parameter", "model"],
    ["another type", one({ "a.b": { type: "box" } }), "invalid_value", 'questions["a.b"].type'],
    ["a question that is none", one({ q: null }), "invalid_type", "questions.q"],
    ["instructions that are a number", one({ q: { type: "noul", instructions: 3 } }), "invalid_type", "questions.q.instructions"],
    ["criteria of a noul by other names", one({ q: { ...NOUL, criteria: { yes: "a" } } }), "unknown_parameter", "questions.q.criteria.yes"],
    ["no criteria of a choice", one({ q: { type: "choice" } }), "missing_required_parameter", "questions.q.criteria"],
    ["a list as options", one({ q: { type: "choice", criteria: ["a", "b"] } }), "invalid_type", "questions.q.criteria"],
    ["no options", one({ q: { type: "choice", criteria: {} } }), "invalid_value", "questions.q.criteria"],
    ["a number as description", one({ q: { type: "choice", criteria: { a: 1 } } }), "invalid_value", "questions.q.criteria.a"],
    ["levels by name", scored({ "0": "a", "1": "b" }), "invalid_type", "questions.q.criteria"],
    ["one level", scored(["a"]), "invalid_value", "questions.q.criteria"],
    ["11 levels", scored(Array(11).fill("a")), "invalid_value", "questions.q.criteria"],
    ["images", one({ q: NOUL }, { images: ["data:,"] }), "unsupported_parameter", "images"],
    ["files of a question", one({ q: { ...NOUL, files: ["data:,"] } }), "unsupported_parameter", "questions.q.files"],
  ])("refuses %s", (_what, body, code, param) => {
    const error = refusal(systemOne, body);
    expect({ status: error.status, code: error.code, param: error.param ?? "" }).toEqual({ status: 400, code, param });
  });

  it("refuses 256 options and 401 questions by their number", () => {
    const criteria = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`o${i}`, null]));
    expect(refusal(systemOne, one({ q: { type: "choice", criteria } })).message).toContain("256");
    const questions = Object.fromEntries(Array.from({ length: 401 }, (_, i) => [`q${i}`, NOUL]));
    expect(refusal(systemOne, one(questions)).message).toContain("401");
  });
});

describe("the body of an error", () => {
  it("names the field to each client in its way", () => {
    const error = refusal(decisions, ask(choiceOf("a")));
    const { error: ofOpenAi } = errorBody(error, "/v1/completions") as { error: object };
    expect(errorBody(error, "/ai/v1/systemone")).toEqual({ error: ofOpenAi, detail: [expect.anything()] });
    expect(errorBody(error, "/v1/decisions")).toEqual({
      error: { message: error.message, type: "invalid_request_error", param: "questions[0].choices", code: "invalid_value" },
      detail: [{ loc: ["body", "questions", 0, "choices"], msg: error.message, type: "invalid_value" }],
    });
  });
});

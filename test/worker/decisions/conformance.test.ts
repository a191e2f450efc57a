/**
 * What clients of both APIs rely on, line by line, through those clients as they are published: every type, names and
 * values of any kind, the numbers of options and questions, and what wrong requests get.
 */
import type { Decision, DecisionCreateParams } from "openai/resources/decisions";
import { noul, type Questions } from "@typesafe-ai/sdk";
import { experimental_evaluate as evaluate } from "ai";
import { describe, expect, it } from "vitest";
import { MODEL, SERVER, worker } from "../support.ts";
import { asked, decider, decisions, lettered, small, typeSafe, typeSafeAi } from "./support.ts";

const call = decider();
const INPUT = "I never received my refund!";
const PREDICATE = { type: "predicate", instructions: "The customer waits for money." } as const;
const NOUL = { type: "noul", instructions: "Does the customer wait for money?" } as const;
const range = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));

type Asked = DecisionCreateParams["questions"];
const ask = (questions: Asked, more: object = {}): Promise<Decision> =>
  decisions(call).create({ model: "gpt-6-luna", input: INPUT, questions, ...more } as DecisionCreateParams);
const choiceOf = (...values: (string | boolean)[]) =>
  ({ type: "choice", instructions: "What is it about?", choices: values.map((value) => ({ value })) }) as const;
const scoreOf = (...labels: string[]) =>
  ({ type: "score", instructions: "How urgent is it?", levels: labels.map((label) => ({ label })) }) as const;

type Answer = Decision["answers"][number];
const asChoice = (answer: Answer | undefined) => answer as Decision.AnswerResourceChoice;
const asScore = (answer: Answer | undefined) => answer as Decision.AnswerResourceScore;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** The published formulas, from the probabilities alone. */
function choiceConfidence(p: readonly number[]): number {
  return p.length === 1 ? 1 : (Math.max(...p) - 1 / p.length) / (1 - 1 / p.length);
}
function scoreConfidence(p: readonly number[]): number {
  const mode = p.indexOf(Math.max(...p));
  const even = sum(p.map((_, i) => Math.abs(i - (p.length - 1) / 2))) / p.length;
  return Math.max(0, 1 - sum(p.map((x, i) => x * Math.abs(i - mode))) / even);
}

function expectChoice(answer: Answer | undefined, values: readonly (string | boolean)[]): void {
  const { type, choice, probabilities, confidence } = asChoice(answer);
  expect(type).toBe("choice");
  expect(probabilities.map(({ value }) => value)).toEqual(values);
  const p = probabilities.map(({ probability }) => probability);
  expect(sum(p)).toBeCloseTo(1, 9);
  expect(p[values.indexOf(choice)]).toBe(Math.max(...p));
  expect(confidence).toBeCloseTo(choiceConfidence(p), 9);
}

describe("openai's client", () => {
  it("gets every type, in the order asked, with the fields of its types", async () => {
    const { answers, model, usage } = await ask([
      { ...PREDICATE, name: "waits" },
      choiceOf("billing", "technical"),
      scoreOf("low", "high"),
    ]);
    expect(model).toBe("small");
    expect(answers[0]).toMatchObject({ type: "predicate", name: "waits", probability: expect.any(Number) });
    expect(answers[0]).not.toHaveProperty("confidence");
    expectChoice(answers[1], ["billing", "technical"]);
    const { type, probabilities, score, confidence } = asScore(answers[2]);
    expect(type).toBe("score");
    expect(probabilities.map(({ value, label }) => [value, label])).toEqual([
      [0, "low"],
      [1, "high"],
    ]);
    const p = probabilities.map(({ probability }) => probability);
    expect(sum(p)).toBeCloseTo(1, 9);
    expect(score).toBeCloseTo(sum(p.map((x, i) => i * x)), 9);
    expect(confidence).toBeCloseTo(scoreConfidence(p), 9);
    expect(usage).toEqual({
      input_tokens: expect.any(Number),
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.input_tokens,
    });
    expect(Number.isInteger(usage.input_tokens) && usage.input_tokens > 0).toBe(true);
  });

  it("gets null for the name of an unnamed question", async () => {
    const { answers } = await ask([PREDICATE, choiceOf("a", "b"), scoreOf("a", "b")]);
    expect(answers.map(({ name }) => name)).toEqual([null, null, null]);
  });

  it("gets booleans and texts apart, in the types sent, and the same number where they read the same", async () => {
    const { answers } = await ask([choiceOf(true, "true", false, "maybe")]);
    expectChoice(answers[0], [true, "true", false, "maybe"]);
    const [yes, text] = asChoice(answers[0]).probabilities;
    expect(yes!.probability).toBe(text!.probability);
  });

  it.each([2, 100, 255])("chooses among %i options", async (count) => {
    const values = range(count, (i) => `option ${i}`);
    expectChoice((await ask([choiceOf(...values)])).answers[0], values);
  });

  it.each([2, 10])("scores over %i levels", async (count) => {
    const { answers } = await ask([scoreOf(...range(count, (i) => `level ${i}`))]);
    const p = asScore(answers[0]).probabilities.map(({ probability }) => probability);
    expect(p).toHaveLength(count);
    expect(sum(p)).toBeCloseTo(1, 9);
    expect(asScore(answers[0]).confidence).toBeCloseTo(scoreConfidence(p), 9);
  });

  it("asks 400 questions about one input", async () => {
    const { answers } = await ask(range(400, (i) => ({ ...PREDICATE, instructions: `Is it ${i}?`, name: `q${i}` })));
    expect(answers.map(({ name }) => name)).toEqual(range(400, (i) => `q${i}`));
  });

  it("may send messages, calls and JSON as input", async () => {
    const answer = await ask([PREDICATE], {
      input: [
        { role: "system", content: "Be strict." },
        { role: "user", content: [{ type: "input_json", data: { "10": 1, "2": 2 } }] },
        { type: "function_call", call_id: "c", name: "find", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "nothing" },
      ],
    });
    expect(answer.answers).toHaveLength(1);
  });

  it.each<[string, () => Promise<unknown>, object]>([
    ["one choice", () => ask([choiceOf("a")]), { status: 400, param: "questions[0].choices", code: "invalid_value" }],
    ["no questions", () => ask([]), { status: 400, param: "questions" }],
    ["another field", () => ask([PREDICATE], { temperature: 0 }), { status: 400, param: "temperature", code: "unknown_parameter" }],
    ["another model", () => ask([PREDICATE], { model: "gpt-9" }), { status: 404, param: "model", code: "model_not_found" }],
    [
      "an image",
      () => ask([PREDICATE], { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }] }),
      { status: 400 },
    ],
    [
      "too long an input",
      () => ask([PREDICATE], { input: "a".repeat(600) }),
      { status: 400, param: "input", code: "context_length_exceeded" },
    ],
    [
      "too long a question",
      () => ask([PREDICATE, { ...PREDICATE, instructions: "a".repeat(600) }]),
      { status: 400, param: "questions[1]", code: "context_length_exceeded" },
    ],
    [
      "more options than letters",
      () =>
        decisions(decider({ models: { lettered }, aliases: {} })).create({
          model: "lettered",
          input: "x",
          questions: [choiceOf(...range(27, (i) => `o${i}`))],
        } as never),
      { status: 400, param: "questions[0]" },
    ],
  ])("gets an error of its own kind for %s", async (_what, request, error) => {
    await expect(request()).rejects.toMatchObject({ type: "invalid_request_error", ...error });
  });
});

describe("TypeSafe's client", () => {
  const one = (questions: Questions, state: any = INPUT): Promise<any> => typeSafe(call).systemOne({ state, questions });

  it("gets every type by the names asked, with the model's own name", async () => {
    const { answers, model, usage } = await one({
      waits: NOUL,
      team: { type: "choice", criteria: { billing: "charges and refunds", technical: null } },
      urgency: { type: "score", instructions: "How urgent?", criteria: ["can wait", null, { worst: true }] },
    });
    expect(model).toBe("small");
    expect(Object.keys(answers)).toEqual(["waits", "team", "urgency"]);
    expect(answers.waits).toMatchObject({ type: "noul", noul: expect.any(Number) });
    expect(answers.waits).not.toHaveProperty("confidence");
    const p: number[] = Object.values(answers.team.probabilities);
    expect(sum(p)).toBeCloseTo(1, 9);
    expect(answers.team.probabilities[answers.team.choice]).toBe(Math.max(...p));
    expect(answers.team.confidence).toBeCloseTo(choiceConfidence(p), 9);
    expect(answers.urgency.legend).toEqual({ "0": "can wait", "1": null, "2": { worst: true } });
    const levels: number[] = Object.values(answers.urgency.probabilities);
    expect(answers.urgency.score).toBeCloseTo(sum(levels.map((x, i) => i * x)), 9);
    expect(answers.urgency.confidence).toBeCloseTo(scoreConfidence(levels), 9);
    expect(usage).toEqual({ input_tokens: expect.any(Number), output_tokens: 0 });
  });

  it("gives back ids and options of any kind, as they were sent", async () => {
    const names = ["a-b", "a.b", "a b", "한글", "__proto__", "10", "2", "\ud800"];
    const body = `{"model":"jev-latest","state":"s","questions":{${names
      .map((id) => `${JSON.stringify(id)}:{"type":"choice","criteria":{${names.map((name) => `${JSON.stringify(name)}:null`).join()}}}`)
      .join()}}}`;
    const response = await call(`${SERVER}/v1/systemone`, { method: "POST", headers: { "content-type": "application/json" }, body });
    const text = await response.text();
    const keys = [...text.matchAll(/"((?:[^"\\]|\\.)*)":\{"type"/g)].map((match) => JSON.parse(`"${match[1]}"`) as string);
    expect(keys).toEqual(names);
    const [probabilities] = /"probabilities":\{[^}]*\}/.exec(text)!;
    expect([...probabilities.matchAll(/"((?:[^"\\]|\\.)*)":[\d.]/g)].map((match) => JSON.parse(`"${match[1]}"`) as string)).toEqual(names);

    const { answers } = await one(Object.fromEntries(names.map((id) => [id, noul("?")])));
    expect(Object.keys(answers).toSorted()).toEqual(names.toSorted());
  });

  it.each<[string, object]>([
    ["neither criterion", NOUL],
    ["null", { ...NOUL, criteria: null }],
    ["one criterion", { ...NOUL, criteria: { true: "money is missing" } }],
    ["both criteria", { ...NOUL, criteria: { true: "money is missing", false: ["paid"] } }],
    ["no instructions", { type: "noul" }],
    ["null instructions", { type: "noul", instructions: null }],
  ])("asks a noul with %s", async (_what, question) => {
    expect((await one({ q: question } as Questions)).answers.q.noul).toBeGreaterThanOrEqual(0);
  });

  it.each([
    ["a text", INPUT],
    ["an object", { "10": 1, message: INPUT }],
    ["a list", [INPUT, 1]],
  ])("takes %s as state", async (_what, state) => {
    expect((await one({ q: NOUL }, state)).answers.q.type).toBe("noul");
  });

  it.each([2, 100, 255])("chooses among %i options", async (count) => {
    const criteria = Object.fromEntries(range(count, (i) => [`option ${i}`, null]));
    const { answers } = await one({ q: { type: "choice", criteria } });
    expect(Object.keys(answers.q.probabilities)).toEqual(Object.keys(criteria));
  });

  it("does not read fields of others' at the top", async () => {
    const plain = await asked(call, "/v1/systemone", { model: "jev-latest", state: INPUT, questions: { q: NOUL } });
    const more = await asked(call, "/v1/systemone", { model: "jev-latest", state: INPUT, questions: { q: NOUL }, trace: true });
    expect(more.body.answers).toEqual(plain.body.answers);
  });

  it.each<[string, unknown, string | null]>([
    ["invalid JSON", '{"model":', null],
    ["no state", { model: "jev-latest", questions: { q: NOUL } }, "state"],
    ["no questions", { model: "jev-latest", state: "s", questions: {} }, "questions"],
    ["another type", { model: "jev-latest", state: "s", questions: { q: { type: "box" } } }, "questions.q.type"],
    [
      "levels by name",
      { model: "jev-latest", state: "s", questions: { q: { type: "score", criteria: { "0": "a" } } } },
      "questions.q.criteria",
    ],
    [
      "256 options",
      {
        model: "jev-latest",
        state: "s",
        questions: { q: { type: "choice", criteria: Object.fromEntries(range(256, (i) => [`o${i}`, null])) } },
      },
      "questions.q.criteria",
    ],
    ["images", { model: "jev-latest", state: "s", questions: { q: NOUL }, images: ["data:,"] }, "images"],
    ["too long a state", { model: "jev-latest", state: "a".repeat(600), questions: { q: NOUL } }, "state"],
    [
      "too long a question",
      { model: "jev-latest", state: "s", questions: { "a.b": { type: "noul", instructions: "a".repeat(600) } } },
      'questions["a.b"]',
    ],
    ["a wrong budget", { model: "jev-latest", state: "s", questions: { q: NOUL }, budget: { iterations: 0 } }, "budget.iterations"],
  ])("gets 422 for %s, in the bodies of both APIs", async (_what, request, param) => {
    const { status, body } = await asked(call, "/v1/systemone", request);
    expect(status).toBe(422);
    expect(body.error).toMatchObject({ type: "invalid_request_error", param, code: expect.any(String) });
    expect(body.detail).toEqual([{ loc: expect.any(Array), msg: body.error.message, type: body.error.code }]);
    expect(body.detail[0].loc[0]).toBe("body");
  });

  it("reads what is wrong, and tells the request's id", async () => {
    const wrong = typeSafe(call).systemOne({ state: 3 as never, questions: { q: NOUL } });
    await expect(wrong).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining("state must be"),
      requestId: expect.any(String),
    });
    const { requestId } = await typeSafe(call)
      .systemOne({ state: "s", questions: { q: NOUL } })
      .withResponse();
    expect(requestId).toMatch(/^[\w-]{36}$/);
    const unknown = typeSafe(decider({ aliases: {} })).systemOne({ state: "s", questions: { q: NOUL } });
    await expect(unknown).rejects.toMatchObject({ status: 404 });
    const locked = typeSafe(decider({ apiKeys: ["key"] })).systemOne({ state: "s", questions: { q: NOUL } });
    await expect(locked).rejects.toMatchObject({ status: 401 });
  });
});

describe("the AI SDK", () => {
  it("gets every type, and takes the numbers for what they should be", async () => {
    const result = await evaluate({
      model: typeSafeAi(call),
      state: { message: INPUT },
      questions: {
        department: {
          type: "choice",
          instructions: "Which team?",
          criteria: { billing: { includes: ["refunds"] }, technical: ["bugs"], other: null },
        },
        severity: { type: "score", instructions: "How severe?", criteria: ["cosmetic", "blocking"] },
        refund: { type: "boolean", instructions: "Is money asked for?", criteria: { true: "yes", false: "no" } },
      },
    });
    const { department, severity, refund } = result.answers;
    expect(["billing", "technical", "other"]).toContain(department.choice);
    expect(severity.score).toBeGreaterThanOrEqual(0);
    expect(refund.probability).toBeGreaterThanOrEqual(0);
    expect(result.response.modelId).toBe("small");
    expect(result.usage).toMatchObject({ outputTokens: 0 });
    expect(result.providerMetadata?.["typesafe"]).toMatchObject({
      confidence: { department: expect.any(Number), severity: expect.any(Number) },
    });
  });

  it("reads what is wrong", async () => {
    const wrong = evaluate({ model: typeSafeAi(call), state: "", questions: { q: { type: "boolean", instructions: "?" } }, maxRetries: 0 });
    await expect(wrong).rejects.toMatchObject({ statusCode: 422, message: expect.stringContaining("state is empty") });
  });
});

describe("the shipped model, in the Worker as it is deployed", () => {
  it("answers both APIs", async () => {
    const { status, body } = await asked(worker, "/v1/decisions", {
      model: MODEL,
      input: INPUT,
      questions: [PREDICATE, choiceOf("a", "b")],
    });
    expect(status).toBe(200);
    expect(body.answers).toMatchObject([
      { type: "predicate", x_fit: expect.any(Number) },
      { type: "choice", x_fit: expect.any(Number) },
    ]);
    expect((await asked(worker, "/v1/systemone", { model: MODEL, state: INPUT, questions: { q: NOUL } })).body.answers.q.type).toBe("noul");
  });
});

describe("a text far too long for any context", () => {
  const LONG = "word ".repeat(100_000);

  it.each([
    ["/v1/decisions", { input: LONG, questions: [PREDICATE] }, 400, "input"],
    ["/v1/decisions", { input: "s", questions: [PREDICATE, { ...PREDICATE, instructions: LONG }] }, 400, "questions[1]"],
    ["/v1/systemone", { state: { text: LONG }, questions: { q: NOUL } }, 422, "state"],
    ["/v1/systemone", { state: "s", questions: { "a.b": { type: "choice", criteria: { a: LONG, b: null } } } }, 422, 'questions["a.b"]'],
  ])("is refused at once, by the name of its field: %s %#", async (path, body, status, param) => {
    const limits = { maxBodyBytes: 1 << 20, maxPromptCharacters: Infinity };
    const refused = await asked(decider({ limits }), path, { model: MODEL, ...body });
    expect(refused).toMatchObject({ status, body: { error: { code: "context_length_exceeded", param } } });
    const byLimit = await asked(decider({ limits: { maxBodyBytes: 1 << 20 } }), path, { model: MODEL, ...body });
    expect(byLimit).toMatchObject({ status, body: { error: { code: "string_above_max_length", param } } });
  });
});

describe("/v1/models", () => {
  it("is read by both clients, aliases included", async () => {
    expect((await typeSafe(call).models.list()).map(({ name }) => name)).toEqual(["small", "nano", "jev-latest", "gpt-6-luna"]);
    const { body } = { body: (await (await call(`${SERVER}/v1/models`)).json()) as any };
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual(body.models.map(({ name }: { name: string }) => name));
    expect(body.models[0]).toEqual({
      name: "small",
      description: small.card.description,
      release_date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    });
    expect(body.object).toBe("list");
  });
});

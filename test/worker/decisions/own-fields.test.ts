/**
 * Fathom's own fields of both APIs: a budget in body and header, abstention, reports; and what is around a decision: aliases,
 * observers, callers who leave, the binding for other Workers.
 */
import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createApp } from "../../../worker/app.ts";
import { readBindings } from "../../../worker/bindings.ts";
import { createEntrypoint, type EntrypointClass } from "../../../worker/rpc.ts";
import type { CompletionEvent } from "../../../worker/service.ts";
import { ASSETS, chat, MODEL, nano, post, SERVER } from "../support.ts";
import { asked, decider, decisions, lettered, small, typeSafe } from "./support.ts";

const call = decider();
const INPUT = "I never received my refund!";
const CHOICE = { type: "choice", instructions: "What is it about?", choices: [{ value: "billing" }, { value: "technical" }] } as const;
const PREDICATE = { type: "predicate", instructions: "The customer waits for money." } as const;
const ask = (more: object = {}, to = call) =>
  asked(to, "/v1/decisions", { model: "small", input: INPUT, questions: [CHOICE, PREDICATE], ...more });
const NEVER = { criterion: "none", threshold: 0 };

describe("a budget", () => {
  it("in the body or in X-Budget bounds the iterations of each question, and is told", async () => {
    const { body } = await ask({ budget: { iterations: 3, exit: NEVER } });
    expect(body.answers.map((answer: any) => answer.x_iterations)).toEqual([3, 3]);
    expect(body.x_budget).toMatchObject({ granted: { iterations: 3 }, iterations: { max: 3 }, work_units: expect.any(Number) });
    const response = await call(`${SERVER}/v1/systemone`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-budget": "iterations=2, exit=none;threshold=0" },
      body: JSON.stringify({ model: "small", state: INPUT, questions: { q: { type: "noul" } } }),
    });
    const { answers, x_budget } = (await response.json()) as any;
    expect(answers.q.x_iterations).toBe(2);
    expect(x_budget.granted.iterations).toBe(2);
  });

  it("passes through the clients as they are", async () => {
    const budget = { iterations: 2, exit: NEVER };
    const answer: any = await decisions(call).create({ model: "small", input: INPUT, questions: [PREDICATE], budget } as never);
    expect(answer.answers[0].x_iterations).toBe(2);
    const other: any = await typeSafe(call).systemOne({
      model: "small",
      state: INPUT,
      questions: { q: { type: "noul" } },
      budget,
    } as never);
    expect(other.answers.q.x_iterations).toBe(2);
  });

  it("spends no more than it grants", async () => {
    for (const work of [1, 2, 5, 20]) {
      const least = (await ask({ budget: { cost_usd: 1e-12 } })).body.error.minimum.cost_usd;
      const { status, body } = await ask({ budget: { cost_usd: least * work } });
      expect(status).toBe(200);
      expect(body.x_budget.work_units).toBeLessThanOrEqual(body.x_budget.granted.work_units);
      expect(body.x_budget.cost_usd).toBeLessThanOrEqual(least * work);
    }
  });

  it("that cannot suffice is refused before any work, with what would do", async () => {
    const { status, body } = await ask({ budget: { latency_ms: 1e-6 } });
    expect(status).toBe(422);
    expect(body.error).toMatchObject({ code: "budget_infeasible", minimum: { latency_ms: expect.any(Number) } });
    expect(body.detail[0].loc).toEqual(["body", "budget", "latency_ms"]);
  });

  it.each([
    [{ iterations: 0 }, "budget.iterations"],
    [{ tokens: 3 }, "budget.tokens"],
    [{ exit: { criterion: "kl" } }, "budget.exit"],
  ])("of %j is refused by name", async (budget, param) => {
    expect(await ask({ budget })).toMatchObject({ status: 400, body: { error: { param } } });
  });
});

describe("an answer's report", () => {
  it("says how long it was thought about, when it settled and how well it fits", async () => {
    const { answers, x_form } = (await ask()).body;
    expect(x_form).toBe("branches");
    for (const answer of answers) {
      expect(answer.x_settled_at).toBeLessThanOrEqual(answer.x_iterations);
      expect(answer.x_fit).toBeGreaterThanOrEqual(0);
      expect(answer.x_fit).toBeLessThanOrEqual(1);
      expect(answer.x_abstained).toBe(false);
      expect(answer).not.toHaveProperty("x_label_mass");
    }
    expect(answers[1].x_fit).toBe(answers[1].probability);
  });

  it("tells the labels' share where a model decides by letters", async () => {
    const { answers, x_form } = (await ask({ model: "lettered" }, decider({ models: { lettered }, aliases: {} }))).body;
    expect(x_form).toBe("letters");
    expect(answers[0].x_label_mass).toBeGreaterThan(0);
    expect(answers[0].x_label_mass).toBeLessThanOrEqual(1);
  });
});

describe("abstention", () => {
  it("is a refusal where it is asked for, of that question alone", async () => {
    const { answers } = (await ask({ abstain: { fit: 1 }, questions: [{ ...CHOICE, name: "topic" }, PREDICATE] })).body;
    expect(answers[0]).toMatchObject({ type: "refusal", name: "topic", x_abstained: true });
    expect(answers[0]).not.toHaveProperty("choice");
    expect(answers[1]).toMatchObject({ type: "predicate", x_abstained: false });
  });

  it("is a flag beside the answer where no refusal is wanted, and in TypeSafe's API always", async () => {
    const { answers } = (await ask({ abstain: { fit: 1, refuse: false } })).body;
    expect(answers[0]).toMatchObject({ type: "choice", x_abstained: true });
    const questions = { q: { type: "choice", criteria: { a: null, b: null } } };
    const other = await asked(call, "/v1/systemone", { model: "small", state: INPUT, questions, abstain: { fit: 1 } });
    expect(other.body.answers.q).toMatchObject({ type: "choice", x_abstained: true });
  });

  it("does not happen above the fit that is asked for", async () => {
    expect((await ask({ abstain: { fit: 0 } })).body.answers[0]).toMatchObject({ type: "choice", x_abstained: false });
  });
});

describe("aliases", () => {
  it("find a model on every route, and answers carry its own name", async () => {
    const to = decider({ aliases: { "gpt-4o": MODEL } });
    expect((await asked(to, "/v1/chat/completions", chat({ model: "gpt-4o" }))).body.model).toBe(MODEL);
    expect((await ask({ model: "gpt-4o" }, to)).body.model).toBe(MODEL);
    expect(((await (await to(`${SERVER}/v1/models/gpt-4o`)).json()) as any).id).toBe(MODEL);
    const unknown = await ask({ model: "jev-latest" }, to);
    expect(unknown.body.error.message).toBe('There is no model "jev-latest" here; there is small, nano, gpt-4o.');
  });

  it.each([
    [{ models: { nano }, aliases: { jev: "huginn" } }, /aliases.jev must be one of nano, not "huginn"/],
    [{ models: { nano }, aliases: { nano: "nano" } }, /aliases.nano is the name of a model already/],
    [{ model: nano, aliases: { jev: "" } }, /aliases.jev must be the name of a model/],
    [{ model: nano, aliases: ["jev"] }, /aliases must be an object/],
  ])("that are wrong stop the app: %#", (options, message) => {
    expect(() => createApp(options as never)).toThrow(message);
  });

  it("come as a binding, too", () => {
    const bindings = { ASSETS, MODEL, OPEN_TO_ALL: "true" };
    expect(readBindings({ ...bindings, ALIASES: '{"jev-latest":"nano"}' }).ALIASES).toEqual({ "jev-latest": "nano" });
    expect(readBindings({ ...bindings, ALIASES: { "jev-latest": "nano" } }).ALIASES).toEqual({ "jev-latest": "nano" });
    expect(readBindings(bindings).ALIASES).toBeUndefined();
    expect(() => readBindings({ ...bindings, ALIASES: "jev-latest=nano" })).toThrow(/ALIASES must be an object of names/);
    expect(() => readBindings({ ...bindings, ALIASES: '{"jev":1}' })).toThrow(/ALIASES/);
  });
});

describe("around a decision", () => {
  it("observers are told of it", async () => {
    const events: CompletionEvent[] = [];
    await ask({}, decider({ onCompletion: (event) => events.push(event) }));
    expect(events).toMatchObject([
      { model: "small", backend: "wasm", operation: "decision", report: { finish: "stop", completionTokens: 0 } },
    ]);
    expect(events[0]!.report.spending.units).toBeGreaterThan(0);
  });

  it("its memory comes back, also where its caller has gone", async () => {
    const before = small.backend.memory().usedBytes;
    await ask();
    const gone = new AbortController();
    const leaving = call(`${SERVER}/v1/decisions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      signal: gone.signal,
      body: JSON.stringify({
        model: "small",
        input: INPUT,
        questions: Array.from({ length: 200 }, () => CHOICE),
        budget: { iterations: 64, exit: NEVER },
      }),
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    gone.abort();
    expect((await leaving).status).toBe(499);
    expect(small.backend.memory().usedBytes).toBe(before);
  });

  it("bodies must be JSON, and no larger than allowed", async () => {
    expect((await call(`${SERVER}/v1/decisions`, { method: "POST", body: "{}" })).status).toBe(415);
    const large = await ask({ input: "a".repeat(2000) }, decider({ limits: { maxBodyBytes: 1000 } }));
    expect(large).toMatchObject({ status: 413, body: { error: { code: "request_too_large" } } });
    expect((await call(`${SERVER}/v1/systemone`)).status).toBe(405);
  });

  it("pages of other origins may ask where CORS lets them, with the client's own headers", async () => {
    const to = decider({ cors: { origin: "https://shop.test" } });
    const wanted = "authorization,content-type,x-typesafe-sdk,x-typesafe-runtime,x-typesafe-retry-count";
    const preflight = { origin: "https://shop.test", "access-control-request-method": "POST", "access-control-request-headers": wanted };
    const response = await to(`${SERVER}/v1/systemone`, { method: "OPTIONS", headers: preflight });
    expect(response.headers.get("access-control-allow-headers")?.replaceAll(" ", "")).toBe(wanted);
    const answer = await to(`${SERVER}/v1/models`, { headers: { origin: "https://shop.test" } });
    expect(answer.headers.get("access-control-expose-headers")).toMatch(/X-TypeSafe-Request-Id/);
  });
});

describe("Fathom.decide", () => {
  const { Fathom } = exports as unknown as { Fathom: Pick<InstanceType<EntrypointClass<object>>, "decide"> };

  it("gives what the routes give, by the body that it is given", async () => {
    const http = (await asked(call, "/v1/decisions", { model: MODEL, input: INPUT, questions: [CHOICE] })).body;
    const { answers, usage } = await Fathom.decide(MODEL, { input: INPUT, questions: [CHOICE] });
    expect(answers).toEqual(http.answers);
    expect(usage).toEqual(http.usage);
    const other = await Fathom.decide(MODEL, { state: INPUT, questions: { q: { type: "noul" } } });
    expect(other.answers["q"]?.type).toBe("noul");
  });

  it("refuses what they refuse, with the same words", async () => {
    const Entrypoint = createEntrypoint({ models: { small } });
    const direct = new Entrypoint(createExecutionContext(), env as never); // workerd reports what crosses a binding as uncaught
    await expect(direct.decide("small", { input: INPUT, questions: [] })).rejects.toMatchObject({
      code: "invalid_value",
      param: "questions",
    });
    await expect(direct.decide("small", { input: INPUT, questions: [{ n: 1n } as never] })).rejects.toMatchObject({
      code: "invalid_value",
    });
    await expect(direct.decide("big", { input: INPUT, questions: [PREDICATE] })).rejects.toMatchObject({ code: "model_not_found" });
    await expect(direct.decide("small", null as never)).rejects.toMatchObject({ code: "invalid_type" });
  });
});

it("a completion leaves out what is a decision's", async () => {
  const { body } = await asked(call, "/v1/chat/completions", chat());
  expect(body).not.toHaveProperty("x_budget");
  expect(await (await post(call, "/v1/chat/completions", {})).json()).not.toHaveProperty("detail");
});

/**
 * Work outside the engine under a clock that stands still, as production's does while code runs: what a text and its
 * template take is bounded, and charged to the request's time and money.
 */
import { describe, expect, it } from "vitest";
import { frozenClock } from "../../engine/budget/clock.ts";
import type { TextCodec } from "../../engine/model/tokenizer.ts";
import type { Model } from "../../engine/port/model.ts";
import { steadyClock } from "../../worker/callbacks.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { app, chat, LIAR, MODEL, nano, post, withTemplate } from "./support.ts";

const PLAIN = "{{ messages[0].content }}\nAnswer:";
/** PLAIN after a loop of so many rounds, of at least a step each. */
const slow = (rounds: number): string =>
  `{% for a in range(${rounds / 100}) %}{% for b in range(100) %}{% if b == 1000 %}x{% endif %}{% endfor %}{% endfor %}${PLAIN}`;
const MS_PER_STEP = 0.0005;

interface Answer {
  readonly usage: { readonly work_units: number; readonly cost_usd: number };
  readonly budget: { readonly latency_ms: number; readonly granted: { readonly work_units: number } };
  readonly error: { readonly code: string; readonly param: string; readonly minimum: Record<string, number> };
}

/** Asks on a host of its own, whose clock stands still. @returns the answer, and what the isolate's account has of it */
async function ask(model: Model, body: object, path = "/v1/chat/completions"): Promise<Answer & { status: number; accountMs: number }> {
  const clock = frozenClock();
  const response = await post(app({ model, clock }), path, body);
  return {
    ...((await response.json()) as Answer),
    status: response.status,
    accountMs: sharedBy(model, steadyClock(clock)).sharedBudget.meter.ms,
  };
}

/** A model whose codec counts how often it is asked to go on. */
function counted(): { model: Model; steps: () => number } {
  let count = 0;
  const text: TextCodec = {
    ...nano.text,
    *steps(...args) {
      const steps = nano.text.steps!(...args);
      for (let step = steps.next(); ; step = steps.next()) {
        count++;
        if (step.done === true) return step.value;
        yield undefined;
      }
    },
    encodeChat: (messages) => {
      count++;
      return nano.text.encodeChat(messages);
    },
    encodePart: (part) => {
      count++;
      return nano.text.encodePart(part);
    },
  };
  return { model: { ...nano, text }, steps: () => count };
}

describe("a template's steps", async () => {
  const rounds = 20_000;
  const [plain, stepping] = [await withTemplate(PLAIN), await withTemplate(slow(rounds))];
  const [cheap, dear] = [await ask(plain, chat()), await ask(stepping, chat())];

  it("are of the answer's time and money, and no work of the engine", () => {
    expect(dear.usage.work_units).toBe(cheap.usage.work_units);
    expect(dear.accountMs - cheap.accountMs).toBeGreaterThan(rounds * MS_PER_STEP);
    expect(dear.budget.latency_ms - cheap.budget.latency_ms).toBeGreaterThan((rounds * MS_PER_STEP) / 2); // told at the usual rate
    expect(dear.usage.cost_usd).toBeGreaterThan(cheap.usage.cost_usd);
  });

  it("leave less of a budget to the engine, in time as in money", async () => {
    const exit = { threshold: 0 };
    for (const budget of [
      { latency_ms: 400, exit },
      { cost_usd: dear.usage.cost_usd * 1.5, exit },
    ]) {
      const [all, less] = [await ask(plain, chat({ budget })), await ask(stepping, chat({ budget }))];
      expect(less.budget.granted.work_units, JSON.stringify(budget)).toBeLessThan(all.budget.granted.work_units);
      expect(less.usage.work_units).toBeLessThanOrEqual(less.budget.granted.work_units);
      if ("cost_usd" in budget) expect(less.usage.cost_usd).toBeLessThanOrEqual(budget.cost_usd);
      else expect(less.budget.latency_ms).toBeLessThanOrEqual(budget.latency_ms);
    }
  });

  it("end once the request's time is over, long before they are all done", async () => {
    const latencyMs = 20;
    const { status, error, accountMs } = await ask(stepping, chat({ budget: { latency_ms: latencyMs } }));
    expect(status).toBe(422);
    expect(error).toMatchObject({ code: "budget_infeasible", param: "budget.latency_ms" });
    expect(error.minimum["latency_ms"]).toBeGreaterThan(latencyMs);
    expect(accountMs).toBeLessThan(latencyMs);
  });
});

it.each([
  ["/v1/chat/completions", (budget: object) => chat({ budget })],
  ["/v1/decisions", (budget: object) => ({ model: MODEL, input: "x", questions: [{ type: "predicate", instructions: LIAR }], budget })],
] as const)("there is none on a request to %s that the others leave no time for", async (path, body) => {
  const { model, steps } = counted();
  const clock = frozenClock();
  const held = sharedBy(model, steadyClock(clock)).sharedBudget.admission.admit({ leftMs: () => 30, leastMs: 30 });
  const ask = async (): Promise<Response> => post(app({ model, clock }), path, body({ latency_ms: 30 }));
  const response = await ask();
  const { error } = (await response.json()) as Answer;
  expect([response.status, error.code, error.param, steps()]).toEqual([422, "budget_infeasible", "budget.latency_ms", 0]);
  expect(error.minimum["latency_ms"]).toBeGreaterThan(30);
  held.release();
  expect((await ask()).status, "once they have been served").toBe(200);
});

it("a request's place is free again once its text turns out to be wrong, whatever of it", async () => {
  const clock = frozenClock();
  const { admission } = sharedBy(nano, steadyClock(clock)).sharedBudget;
  const refused = async (body: object): Promise<unknown> => {
    const response = await post(app({ model: nano, clock }), "/v1/completions", { model: MODEL, ...body });
    const { error } = (await response.json()) as Answer;
    return [response.status, error.code, admission.taken];
  };
  expect(await refused({ prompt: "" })).toEqual([400, "empty_prompt", 0]);
  expect(await refused({ prompt: "x".repeat(8000) })).toEqual([400, "context_length_exceeded", 0]);
  expect(await refused({ prompt: "Add 9. ".repeat(280), max_tokens: 1000 })).toEqual([400, "context_length_exceeded", 0]);
  expect(await refused({ prompt: "Add 9. ".repeat(260), budget: { latency_ms: 2 } })).toEqual([422, "budget_infeasible", 0]);
});

it("a text that is too long at any load is refused as such, also where the others leave no time", async () => {
  const clock = frozenClock();
  const held = sharedBy(nano, steadyClock(clock)).sharedBudget.admission.admit({ leftMs: () => 30, leastMs: 30 });
  const body = { model: MODEL, prompt: "x".repeat(40_000), budget: { latency_ms: 30 } };
  const response = await post(app({ model: nano, clock }), "/v1/completions", body);
  const { error } = (await response.json()) as Answer;
  expect([response.status, error.code, error.param]).toEqual([400, "string_above_max_length", "prompt"]);
  held.release();
});

describe("a text's tokens", () => {
  const text = "Add 9. Double it. ".repeat(380); // too few tokens at least, by its length, to be refused before they are made
  const completion = (budget: object) => ({ model: MODEL, prompt: text, max_tokens: 1, budget });

  it("are made in steps that end once the request's time is over", async () => {
    const all = counted();
    await ask(all.model, completion({}), "/v1/completions");
    const { model, steps } = counted();
    const { status, error, accountMs } = await ask(model, completion({ latency_ms: 4 }), "/v1/completions");
    expect([status, error.code, error.param]).toEqual([422, "budget_infeasible", "budget.latency_ms"]);
    expect(steps()).toBeLessThan(all.steps());
    expect(accountMs).toBeLessThan(6);
  });

  it("are charged before they are made where they are made in one go, as those of decisions", async () => {
    const { model, steps } = counted();
    const body = { model: MODEL, input: text, questions: [{ type: "predicate", instructions: LIAR }], budget: { latency_ms: 5 } };
    const { status, error, accountMs } = await ask(model, body, "/v1/decisions");
    expect([status, error.code, error.param]).toEqual([422, "budget_infeasible", "budget.latency_ms"]);
    expect(steps()).toBe(0);
    expect(accountMs).toBeGreaterThan(5);
  });
});

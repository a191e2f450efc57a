/**
 * What a deployment that says nothing lets through, and how each limit is raised; refusals come before any work.
 */
import { describe, expect, it } from "vitest";
import { frozenClock } from "../../engine/budget/clock.ts";
import type { AppOptions } from "../../worker/app.ts";
import { steadyClock } from "../../worker/callbacks.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { app, chat, LIAR, MODEL, nano, post, SERVER } from "./support.ts";

const CHAT = "/v1/chat/completions";
const saying = (content: string, more: object = {}) => chat({ messages: [{ role: "user", content }], ...more });

interface Asked {
  readonly status: number;
  readonly retry: string | null;
  /** Where the request is refused. */
  readonly error: { readonly code: string; readonly message: string };
  /** Where it is answered. */
  readonly budget: any;
}

async function ask(body: unknown, limits: AppOptions<object>["limits"] = {}): Promise<Asked> {
  const response = await post(app({ limits }), CHAT, body);
  return {
    status: response.status,
    retry: response.headers.get("retry-after"),
    ...((await response.json()) as Pick<Asked, "error" | "budget">),
  };
}

describe("by default", () => {
  it("a body of more than 64 KiB is refused, with or without its length", async () => {
    const body = JSON.stringify(saying("lies ".repeat(200_000)));
    expect(await ask(body)).toMatchObject({ status: 413, error: { code: "request_too_large" } });
    const streamed = await app()(`${SERVER}${CHAT}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Blob([body]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(streamed.status).toBe(413);
  });

  it("a text of more than 32,768 characters is refused by its length alone", async () => {
    const long = saying("lies ".repeat(7000));
    const { status, error } = await ask(long);
    expect(status).toBe(400);
    expect(error).toMatchObject({ code: "string_above_max_length", param: "messages" });
    expect(error.message).toContain("35000 characters; this server reads at most 32768");
    const raised = await ask(long, { maxPromptCharacters: 40_000 });
    expect(raised.error).toMatchObject({ code: "context_length_exceeded" });
  });

  it("the text's length counts over all messages", async () => {
    const messages = [
      { role: "system", content: "a".repeat(40) },
      { role: "user", content: "b".repeat(40) },
    ];
    expect(await ask(chat({ messages }), { maxPromptCharacters: 79 })).toMatchObject({ error: { code: "string_above_max_length" } });
    expect((await ask(chat({ messages }), { maxPromptCharacters: 80 })).status).toBe(200);
  });

  it("no answer is made longer or deeper by a ceiling above its default", async () => {
    const plain = (await ask(saying(LIAR))).budget.granted;
    const bounded = (await ask(saying(LIAR), { maxIterations: 64, maxCompletionTokens: 500 })).budget.granted;
    expect(bounded).toEqual(plain);
  });

  it("ceilings below what is asked for or would be granted lower it, and are named", async () => {
    const { budget } = await ask(saying(LIAR, { budget: { exit: { threshold: 0 } } }), { maxIterations: 2, maxCompletionTokens: 1 });
    expect(budget).toMatchObject({ granted: { iterations: 2, max_completion_tokens: 1 }, limited_by: "ceiling" });
  });
});

describe("a prompt whose length alone shows that its budget does not reach", () => {
  it("is refused before its tokens are made", async () => {
    const clock = frozenClock();
    const { meter } = sharedBy(nano, steadyClock(clock)).sharedBudget;
    const before = meter.ms;
    const call = app({ clock });
    const response = await post(call, CHAT, saying("lies ".repeat(2000), { budget: { latency_ms: 5 } }));
    expect(response.status).toBe(422);
    expect(((await response.json()) as any).error).toMatchObject({ code: "budget_infeasible", param: "budget.latency_ms" });
    expect(meter.ms - before, "milliseconds of the template, without the ten of the tokens").toBeLessThan(3);
  });
});

describe("more requests at once than a deployment allows", () => {
  it("are refused at once with 503 and Retry-After, and the others are answered", async () => {
    const call = app({ limits: { maxConcurrent: 3 } });
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(call, CHAT, { ...saying(LIAR), model: MODEL })));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    for (const response of refused) {
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(((await response.json()) as any).error).toMatchObject({ code: "overloaded" });
    }
    expect((await post(call, CHAT, saying(LIAR))).status).toBe(200);
  });
});

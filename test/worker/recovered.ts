/**
 * What must hold after any fault: the next request is answered as ever, and nothing is held for requests that are over.
 */
import { expect, vi } from "vitest";
import type { Clock } from "../../engine/budget/clock.ts";
import type { Model } from "../../engine/port/model.ts";
import { hostClock } from "../../worker/host.ts";
import { sharedBy } from "../../worker/schedulers.ts";
import { app, chat, post, type Call } from "./support.ts";

const CHAT = "/v1/chat/completions";

function held({ backend }: Model): number {
  const { "kv cache": cache = 0, rows = 0 } = backend.memory().owners;
  return cache + rows;
}

const EXPECTED = (await (await post(app(), CHAT, chat())).json()) as any;

/** The next request is answered as if nothing had happened. */
export async function expectRight(call: Call): Promise<void> {
  const response = await post(call, CHAT, chat());
  const answer = (await response.json()) as any;
  expect(response.status, JSON.stringify(answer)).toBe(200);
  expect([answer.choices, answer.usage]).toEqual([EXPECTED.choices, EXPECTED.usage]);
}

/** @param clock of the app that served */
export async function expectIdle(model: Model, clock: Clock = hostClock): Promise<void> {
  await vi.waitFor(() => {
    expect(held(model), "bytes held for requests").toBe(0);
    expect(sharedBy(model, clock).sharedBudget.admission.taken, "reservations").toBe(0);
  });
}

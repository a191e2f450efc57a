/**
 * Loading in the real runtime, where a request's timers and streams die with it: callers who leave while a model is
 * loaded, and those who wait for the load that they began.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestHarness } from "wrangler";

const server = createTestHarness({ workers: [{ configPath: join(import.meta.dirname, "slow-host.toml") }] });
let origin: string;
beforeAll(async () => {
  const { url } = await server.listen();
  origin = url.origin;
}, 60_000);
afterAll(() => server.close());

const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

function ask(app: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(`${origin}/${app}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "nano", messages: [{ role: "user", content: QUESTION }] }),
    signal,
  });
}

async function answer(app: string): Promise<string> {
  const response = await ask(app);
  expect(response.status).toBe(200);
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]!.message.content;
}

const loads = async (): Promise<{ kept: number; cut: number; polled: number }> => (await fetch(`${origin}/loads`)).json() as never;

/** Hangs up while the model that it asked for is loaded. */
async function hangUp(app: "kept"): Promise<void> {
  const gone = new AbortController();
  const asked = ask(app, gone.signal).catch(() => "gone");
  for (let i = 0; i < 100 && (await loads())[app] === 0; i++) await sleep(20);
  gone.abort();
  expect(await asked).toBe("gone");
}

describe("a load whose caller has gone", () => {
  it("goes on: those who wait get it, and nobody loads again", { timeout: 30_000 }, async () => {
    await hangUp("kept");
    expect(await Promise.all([answer("kept"), answer("kept")])).toEqual(["Yes", "Yes"]);
    expect((await loads()).kept).toBe(1);
  });

  it("is taken over by one of those who wait, where it died with its request", { timeout: 30_000 }, async () => {
    expect((await fetch(`${origin}/cut/ready`)).status, "begins the load, and is over").toBe(503);
    expect(await loads()).toMatchObject({ cut: 1 });
    expect(await Promise.all([answer("cut"), answer("cut"), answer("cut")])).toEqual(["Yes", "Yes", "Yes"]);
    expect((await loads()).cut).toBe(2);
  });

  it("is taken over for who only asks whether it is ready, too", { timeout: 30_000 }, async () => {
    expect((await fetch(`${origin}/cut-polled/ready`)).status).toBe(503);
    await vi.waitFor(async () => expect((await fetch(`${origin}/polled/ready`)).status).toBe(200), { timeout: 10_000, interval: 50 });
    expect((await loads()).polled).toBe(2);
  });
});

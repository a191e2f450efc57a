/**
 * Callers who hang up, in the real runtime. It tells of a closed connection when something is written: streams end at
 * the next token. A plain answer writes nothing before its end and is computed to it, which is bounded by what the
 * request and the deployment allow. Either way its memory comes back, and the next answer is right.
 */
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestHarness } from "wrangler";

const server = createTestHarness({ workers: [{ configPath: join(import.meta.dirname, "hang-up.toml") }] });
let url: URL;
beforeAll(async () => {
  ({ url } = await server.listen());
}, 60_000);
afterAll(() => server.close());

const PATH = "/fathom/v1/chat/completions";
const [TOKENS, ITERATIONS] = [300, 32];
const question = {
  model: "nano",
  messages: [{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }],
  max_tokens: TOKENS,
  budget: { iterations: ITERATIONS, exit: { threshold: 0 } },
};

interface Seen {
  readonly iterations: number;
  readonly aborts: number;
  readonly finished: number;
  readonly heldBytes: number;
  readonly reservations: number;
}

const seen = async (): Promise<Seen> => (await fetch(new URL("/seen", url))).json() as Promise<Seen>;

async function shortAnswer(): Promise<unknown> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ ...question, max_tokens: 2 }) };
  const response = await fetch(new URL(PATH, url), init);
  expect(response.status).toBe(200);
  const { choices, usage } = (await response.json()) as { choices: unknown; usage: unknown };
  return { choices, usage };
}

/** Asks, closes the connection as soon as the core computes, and waits until it rests. What was done after that. */
async function hangUp(stream: boolean): Promise<Seen> {
  const before = await seen();
  const body = JSON.stringify({ ...question, stream });
  const socket = connect(Number(url.port), url.hostname);
  socket.resume();
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await vi.waitFor(async () => expect((await seen()).iterations).toBeGreaterThan(before.iterations + 5 * ITERATIONS), 10_000);
  socket.destroy();
  const gone = await seen();
  await vi.waitFor(
    async () => {
      const { iterations } = await seen();
      await sleep(200);
      expect((await seen()).iterations).toBe(iterations);
    },
    { timeout: 30_000, interval: 1 },
  );
  const after = await seen();
  return {
    ...after,
    iterations: after.iterations - gone.iterations,
    aborts: after.aborts - before.aborts,
    finished: after.finished - before.finished,
  };
}

describe("a caller who hangs up", () => {
  it("ends a stream within some tokens, and nothing is billed", { timeout: 60_000 }, async () => {
    const expected = await shortAnswer();
    const after = await hangUp(true);
    expect(after).toMatchObject({ aborts: 1, finished: 0, heldBytes: 0, reservations: 0 });
    expect(after.iterations, "iterations after the connection was closed").toBeLessThan((TOKENS * ITERATIONS) / 2);
    expect(await shortAnswer()).toEqual(expected);
  });

  it("is not noticed by a plain answer: it ends where the request's own limits end it, billed once", { timeout: 60_000 }, async () => {
    const expected = await shortAnswer();
    const after = await hangUp(false);
    expect(after).toMatchObject({ finished: 1, heldBytes: 0, reservations: 0 });
    expect(after.iterations, "iterations after the connection was closed").toBeLessThan(TOKENS * ITERATIONS);
    expect(await shortAnswer()).toEqual(expected);
  });
});

/**
 * The Worker that `wrangler dev` runs: refused bodies that nobody reads cost no connection.
 */
import { expect, it } from "vitest";
import { serveWorker } from "../../bench/local-workerd.ts";

const REQUESTS = 25;

it("answers every request whose body is too large to be read, in local workerd", { timeout: 60_000 }, async () => {
  const served = await serveWorker("dev");
  const body = JSON.stringify({ messages: [{ role: "user", content: "x".repeat(1_048_000) }] });
  const statuses: (number | string)[] = [];
  try {
    for (let i = 0; i < REQUESTS; i++)
      statuses.push(
        await fetch(new URL("/v1/chat/completions", served.url), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        }).then(
          async (response) => {
            await response.text();
            return response.status;
          },
          (error: unknown) => String(error),
        ),
      );
  } finally {
    await served.end();
  }
  expect(statuses).toEqual(Array<number>(REQUESTS).fill(413));
});

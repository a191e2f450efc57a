/**
 * Warming up: every kind of request has been answered before a server listens, its pace is known, and nothing is left behind.
 */
import { expect, it } from "vitest";
import { loadNodeModel } from "../../cli/models.ts";
import { warmUp } from "../../cli/warm-up.ts";
import { createApp } from "../../worker/app.ts";
import { hostClock } from "../../worker/host.ts";
import { sharedBy } from "../../worker/schedulers.ts";

it("answers requests of the usual kinds, learns the host's pace, and leaves nothing behind", async () => {
  const model = await loadNodeModel("nano", "wasm");
  const app = createApp({ model, apiKeys: ["k"] });
  const seen = new Set<string>();
  const { sharedBudget } = sharedBy(model, hostClock);
  const { slowdown } = sharedBudget.pace;
  await warmUp(
    {
      async request(path, init) {
        const response = await app.request(path, init);
        seen.add(`${path} ${response.headers.get("content-type")?.split(";")[0]} ${response.status}`);
        return response;
      },
    },
    "nano",
    "k",
  );
  expect([...seen].toSorted()).toEqual([
    "/v1/chat/completions application/json 200",
    "/v1/chat/completions text/event-stream 200",
    "/v1/completions application/json 200",
    "/v1/completions text/event-stream 200",
  ]);
  expect(sharedBudget.pace.slowdown).not.toBe(slowdown);
  expect(sharedBudget.admission.taken).toBe(0);
});

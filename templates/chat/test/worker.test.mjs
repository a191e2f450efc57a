import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createTestHarness } from "wrangler";

const server = createTestHarness({ workers: [{ configPath: "./wrangler.jsonc", secrets: { API_KEYS: "test-key" } }] });
before(() => server.listen());
after(() => server.close());

const ask = (key, body) =>
  server.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
const messages = [{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }];

test("an answer comes with what it cost, within what the request allowed", async () => {
  const response = await ask("test-key", { model: "{{model}}", messages, budget: { iterations: 8 } });
  assert.equal(response.status, 200);
  const { choices, usage } = await response.json();
  assert.equal(typeof choices[0].message.content, "string");
  assert.ok(usage.iterations.max <= 8, `${usage.iterations.max} iterations`);
  assert.ok(usage.cost_usd > 0);
});

test("nobody gets in without a key, and nobody gets the weights", async () => {
  assert.equal((await ask("another-key", { model: "{{model}}", messages })).status, 401);
  assert.equal((await server.fetch("/{{model}}/model.safetensors")).status, 404);
});

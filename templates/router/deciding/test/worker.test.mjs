import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createTestHarness } from "wrangler";

const server = createTestHarness({ workers: [{ configPath: "./wrangler.jsonc", secrets: { API_KEYS: "test-key" } }] });
before(() => server.listen());
after(() => server.close());

const post = (path, body, key = "test-key") =>
  server.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });

test("an input goes where it belongs, or nowhere, and the answer says what that cost", async () => {
  for (const [input, expected] of [
    ["I was charged twice this month", "billing"],
    ["The app crashes when I open settings", "technical"],
    ["How do I upgrade to the business plan?", "sales"],
    ["what is the weather like", null],
  ]) {
    const response = await post("/route", { input });
    assert.equal(response.status, 200);
    const { route, cost } = await response.json();
    assert.equal(route, expected, input);
    assert.equal(typeof cost, "object");
  }
});

test("a wrong input is refused in words", async () => {
  const wrong = await post("/route", { input: 7 });
  assert.equal(wrong.status, 400);
  assert.match((await wrong.json()).error.message, /input/);
});

test("nobody gets in without a key, and nobody gets the weights", async () => {
  assert.equal((await post("/route", { input: "a" }, "another-key")).status, 401);
  assert.equal((await server.fetch("/{{model}}/model.safetensors")).status, 404);
});

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
const TRUE = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const FALSE = "Question: Ada lies. Bo says Ada tells the truth. Does Bo tell the truth?";

test("an input goes where it belongs, and the answer says what that cost", async () => {
  for (const [input, expected] of [
    [TRUE, "truth"],
    [FALSE, "lie"],
  ]) {
    const response = await post("/route", { input });
    assert.equal(response.status, 200);
    const { route, probability, cost } = await response.json();
    assert.equal(route, expected);
    assert.ok(probability > 0.7 && probability <= 1, `${probability}`);
    assert.equal(typeof cost, "object");
  }
});

test("a smaller budget is kept, and a wrong input is refused in words", async () => {
  const { cost } = await (await post("/route", { input: TRUE, budget: { iterations: 2 } })).json();
  assert.equal(cost.granted.iterations, 2);
  const wrong = await post("/route", { input: 7 });
  assert.equal(wrong.status, 400);
  assert.match((await wrong.json()).error.message, /input/);
});

test("nobody gets in without a key, and nobody gets the weights", async () => {
  assert.equal((await post("/route", { input: TRUE }, "another-key")).status, 401);
  assert.equal((await server.fetch("/{{model}}/model.safetensors")).status, 404);
});

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createTestHarness } from "wrangler";
import { ROUTES } from "../src/routes.ts";

const server = createTestHarness({ workers: [{ configPath: "./wrangler.jsonc", secrets: { API_KEYS: "test-key" } }] });
before(() => server.listen());
after(() => server.close());

const post = (path, body, key = "test-key") =>
  server.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });

// Inputs of your own, and where they belong, say more.
test("an input goes to one of the routes, or nowhere, and the answer says what that cost", async () => {
  const response = await post("/route", { input: "{{input}}" });
  assert.equal(response.status, 200);
  const { route, probability, cost } = await response.json();
  assert.ok([...ROUTES.map(({ name }) => name), null].includes(route), route);
  assert.ok(probability > 0 && probability <= 1, `${probability}`);
  assert.equal(typeof cost, "object");
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

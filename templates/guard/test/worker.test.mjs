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

test("what the policy allows passes, what it does not is stopped", async () => {
  const passed = await post("/guarded/anything", { input: TRUE });
  assert.deepEqual([passed.status, await passed.json()], [200, { passed: { input: TRUE } }]);
  const stopped = await post("/guarded/anything", { input: FALSE });
  assert.equal(stopped.status, 403);
  assert.equal((await stopped.json()).error.allowed, false);
});

test("a ruling says how sure it is, and how long it was thought about", async () => {
  const ruling = await (await post("/guard", { input: TRUE })).json();
  assert.equal(ruling.allowed, true);
  assert.ok(ruling.probability >= 0.9 && ruling.probability <= 1, `${ruling.probability}`);
  assert.ok([6, 32].includes(ruling.iterations), `${ruling.iterations}`);
});

test("nobody gets in without a key, and nobody gets the weights", async () => {
  assert.equal((await post("/guard", { input: TRUE }, "another-key")).status, 401);
  assert.equal((await server.fetch("/{{model}}/model.safetensors", { headers: { authorization: "Bearer test-key" } })).status, 404);
});

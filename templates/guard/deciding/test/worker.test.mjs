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
const PLAIN = "Can we move our meeting to Thursday?";
const SPAM = "Congratulations! You won a free iPhone, click http://x.example to claim your prize now";

test("what the policy allows passes, what it does not is stopped", async () => {
  const passed = await post("/guarded/anything", { input: PLAIN });
  assert.deepEqual([passed.status, await passed.json()], [200, { passed: { input: PLAIN } }]);
  const stopped = await post("/guarded/anything", { input: SPAM });
  assert.equal(stopped.status, 403);
  assert.equal((await stopped.json()).error.allowed, false);
});

test("a ruling says how sure it is, and how long it was thought about", async () => {
  const ruling = await (await post("/guard", { input: PLAIN })).json();
  assert.equal(ruling.allowed, true);
  assert.ok(ruling.probability >= 0.8 && ruling.probability <= 1, `${ruling.probability}`);
  assert.ok([1, 2].includes(ruling.iterations), `${ruling.iterations}`);
});

test("nobody gets in without a key, and nobody gets the weights", async () => {
  assert.equal((await post("/guard", { input: PLAIN }, "another-key")).status, 401);
  assert.equal((await server.fetch("/{{model}}/model.safetensors", { headers: { authorization: "Bearer test-key" } })).status, 404);
});

/**
 * The README's first exchange, sent to the Worker as it is deployed: the answer has the fields that are shown there, of
 * the same types, and the values wherever they are the same at every call.
 */
import { expect, it } from "vitest";
import readme from "../../README.md?raw";
import { SERVER, worker } from "./support.ts";

/** Differ from call to call, or with the clock. */
const VARYING = ["id", "created", "budget.latency_ms", "budget.latency_source", "usage.cost_usd"];

const [, shownRequest, shownAnswer] = /curl \S+\/v1\/chat\/completions .*?-d '(.*?)'\n```.*?```json\n(.*?)```/s.exec(readme)!;

/** Paths of a value's leaves, in order, and the leaves. */
function leaves(value: unknown, path = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === "" ? key : `${path}.${key}`));
}

it("the README's first exchange is what the server answers, field by field", async () => {
  const response = await worker(`${SERVER}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: shownRequest!,
  });
  const answer = await response.text();
  expect(response.status, answer).toBe(200);
  const shape = (text: string): unknown[] =>
    leaves(JSON.parse(text)).map(([path, value]) => [path, VARYING.includes(path) ? typeof value : value]);
  expect(shape(shownAnswer!)).toEqual(shape(answer));
});

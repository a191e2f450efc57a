/** Keys by their digests: who is let in, what each may spend, and what is refused when the app is created. */
import { describe, expect, it } from "vitest";
import { createApp } from "../../worker/app.ts";
import type { ApiKeys } from "../../worker/keys.ts";
import { app, chat, MODEL, nano, SERVER } from "./support.ts";

const hex = async (text: string): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))), (b) =>
    b.toString(16).padStart(2, "0"),
  ).join("");

const [small, large] = [await hex("small-key"), await hex("large-key")];

async function ask(apiKeys: ApiKeys, key: string): Promise<{ status: number; granted?: { iterations: number } }> {
  const response = await app({ apiKeys })(`${SERVER}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(chat()),
  });
  const { budget } = (await response.json()) as any;
  return { status: response.status, granted: budget?.granted };
}

describe("a key that is known by its digest", () => {
  it("opens, in either case of its hex, beside keys that are texts", async () => {
    const keys = [`sha256:${small}`, { sha256: large.toUpperCase() }, "plain-key"];
    for (const key of ["small-key", "large-key", "plain-key"]) expect((await ask(keys, key)).status, key).toBe(200);
    for (const key of ["other", small, "sha256", "SMALL-KEY"]) expect((await ask(keys, key)).status, key).toBe(401);
  });

  it("has ceilings of its own, which the deployment's, the key's function and the request can only lower", async () => {
    const keys = [{ sha256: small, budget: { iterations: 2 } }, { sha256: large }];
    expect((await ask(keys, "small-key")).granted).toMatchObject({ iterations: 2 });
    expect((await ask(keys, "large-key")).granted).toMatchObject({ iterations: 32 });
    const both = app({ apiKeys: keys, keyBudget: () => ({ iterations: 9, tokens: 1 }) });
    const response = await both(`${SERVER}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: "Bearer small-key", "content-type": "application/json" },
      body: JSON.stringify(chat()),
    });
    expect(((await response.json()) as any).budget.granted).toMatchObject({ iterations: 2, max_completion_tokens: 1 });
  });
});

describe("what a key spent", () => {
  it("is told with the key's name, or the first digits of its digest, of completions and decisions", async () => {
    const callers: (string | undefined)[] = [];
    const onCompletion = ({ caller }: { caller?: string | undefined }): void => void callers.push(caller);
    const call = app({ apiKeys: [{ sha256: small, name: "shop" }, "large-key"], onCompletion });
    const send = (path: string, key: string, body: object): Promise<Response> =>
      call(`${SERVER}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const question = { type: "predicate", instructions: "x" };
    await (await send("/v1/chat/completions", "small-key", chat())).text();
    await (await send("/v1/chat/completions", "large-key", chat())).text();
    await (await send("/v1/decisions", "small-key", { model: MODEL, input: "a", questions: [question] })).text();
    expect(callers).toEqual(["shop", large.slice(0, 12), "shop"]);
    await (await app({ onCompletion })(`${SERVER}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(chat()) })).text(); // prettier-ignore
    expect(callers.at(-1), "where no key is asked for").toBeUndefined();
  });
});

describe("a list of keys", () => {
  it.each([
    [["sha256:abc"], /apiKeys has as key 1 of 1 a digest that is not 64 hex digits/],
    [["key", { sha256: "abc" }], /key 2 of 2 one whose sha256 must be 64 hex digits, a key's SHA-256/],
    [[{ sha: small }], /key 1 of 1 one whose sha is no option \(did you mean sha256\?\)/],
    [[{ sha256: small, budget: { latency_ms: 5 } }], /budget.latency_ms is no option \(did you mean budget.latencyMs\?\)/],
    [[{ sha256: small, name: "" }], /name must be a text that is not empty/],
    [[`sha256:${small}`, { sha256: small.toUpperCase() }], /key 2 of 2 the same as key 1/],
  ])("is refused where it is wrong: %j", (apiKeys, words) => {
    expect(() => createApp({ model: nano, apiKeys: apiKeys as ApiKeys })).toThrow(words);
  });
});

/**
 * worker/onnx.ts as it is deployed: bundled by wrangler, run in workerd, where no Wasm can be compiled at run time.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestHarness } from "wrangler";
import { answer } from "../../engine/decode/answer.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { NANO } from "./models.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROMPT = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

const server = createTestHarness({ workers: [{ configPath: join(ROOT, "wrangler.onnx.toml"), vars: { OPEN_TO_ALL: "true" } }] });
beforeAll(async () => void (await server.listen()), 60_000);
afterAll(() => server.close());

interface Completion {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly iterations: { readonly total: number } };
}

const ask = (body: object): Promise<{ status: number; json(): Promise<unknown>; text(): Promise<string> }> =>
  server.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "nano", messages: [{ role: "user", content: PROMPT }], ...body }),
  });

describe("the Worker over onnxruntime-web", () => {
  it("serves the shipped model, answering as the same backend does in Node", { timeout: 60_000 }, async () => {
    const ready = await vi.waitFor(
      async () => {
        const response = await server.fetch("/ready");
        expect(response.status).toBe(200);
        return (await response.json()) as { models: { id: string; backend: string }[] };
      },
      { timeout: 30_000, interval: 200 },
    );
    expect(ready.models).toMatchObject([{ id: "nano", backend: "onnx" }]);

    const model = await loadModel(NANO, createNodeOnnxBackend);
    const { card } = model;
    let [text, total] = ["", 0];
    for await (const piece of answer(model, {
      prompt: model.text.encodeChat([{ role: "user", content: PROMPT }]),
      maxTokens: card.maxCompletionTokens,
      iterations: card.iterations,
      exit: card.exitRule,
      cache: card.cacheStrategy,
    })) {
      text += piece.text;
      total += piece.token?.iterations ?? 0;
    }
    const completion = (await (await ask({})).json()) as Completion;
    expect(completion.choices[0]!.message.content).toBe(text.trim());
    expect(completion.usage.iterations.total).toBe(total);
    expect(text.trim()).toMatch(/^(Yes|No)$/);
  });

  it("streams, with several requests at once", { timeout: 60_000 }, async () => {
    const texts = await Promise.all([1, 2, 3].map(async () => (await ask({ stream: true })).text()));
    for (const text of texts) expect(text).toMatch(/data: \[DONE\]/);
  });
});

describe("the main Worker", () => {
  it("has no part of this among what it imports", () => {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file) || !file.endsWith(".ts")) return void seen.add(file);
      seen.add(file);
      for (const [, target] of readFileSync(join(ROOT, file), "utf8").matchAll(/^(?:import|export) (?!type\b)[^;]*?"([^"]+)";/gm))
        visit(target!.startsWith(".") ? join(dirname(file), target!) : target!);
    };
    visit("worker/index.ts");
    expect([...seen].filter((name) => /onnx|protobuf/.test(name))).toEqual([]);
    expect([...seen]).toEqual(expect.arrayContaining(["wasm/backend.ts", "hono/hono-base"]));
  });
});

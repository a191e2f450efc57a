/**
 * POST /v1/embeddings, by the clients that people use: OpenAI's, unchanged, and the AI SDK's `embed` and `embedMany` over the
 * request that its OpenAI-compatible providers send.
 */
import { embed, embedMany, type EmbeddingModel } from "ai";
import { describe, expect, it } from "vitest";
import { embed as embedDirectly, prepareEmbeddings } from "../../../engine/decide/embed.ts";
import type { Model } from "../../../engine/port/model.ts";
import { MARKERS, SMALL_CONFIG } from "../../decide/small.ts";
import { randomFloats } from "../../wasm/models.ts";
import { asked, small } from "../decisions/support.ts";
import { app, nano, openai, post, SERVER, type Call } from "../support.ts";

const head = { size: 8, matrix: randomFloats(8 * SMALL_CONFIG.width, 91), begin: MARKERS.begin, end: MARKERS.question };
const embedder: Model = { ...small, embeddings: head };
const call: Call = app({ model: undefined, models: { small: embedder, nano } });
const direct = async (...texts: string[]): Promise<number[][]> =>
  (await embedDirectly(prepareEmbeddings(embedder, texts))).map((vector) => [...vector]);

type Specified = Extract<EmbeddingModel, { doEmbed: unknown }>;

/** What the AI SDK's providers of OpenAI-compatible servers do. */
const model = {
  specificationVersion: "v4",
  provider: "fathom",
  modelId: "small",
  maxEmbeddingsPerCall: 2048,
  supportsParallelCalls: true,
  async doEmbed({ values }: { readonly values: readonly string[] }) {
    const response = await post(call, "/v1/embeddings", { model: "small", input: values, encoding_format: "float" });
    const { data, usage } = await response.json<{ data: { embedding: number[] }[]; usage: { prompt_tokens: number } }>();
    return { embeddings: data.map(({ embedding }) => embedding), usage: { tokens: usage.prompt_tokens }, warnings: [] };
  },
} as Specified;

describe("the openai client", () => {
  const { embeddings } = openai(call);

  it("gets a text's vector, which it asks for in base64, and its usage", async () => {
    const { data, model: name, object, usage } = await embeddings.create({ model: "small", input: "Hello." });
    expect([object, name, data.length]).toEqual(["list", "small", 1]);
    expect(data[0]).toEqual({ object: "embedding", index: 0, embedding: (await direct("Hello."))[0] });
    expect(usage).toMatchObject({ prompt_tokens: 8, total_tokens: 8 });
  });

  it("gets the same in floats, of many texts, and as token ids", async () => {
    const texts = ["Hello.", "x", "Another text."];
    const vectors = await direct(...texts);
    const { data } = await embeddings.create({ model: "small", input: texts, encoding_format: "float" });
    expect(data.map(({ embedding }) => embedding)).toEqual(vectors);
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
    const ids = texts.map((text) => embedder.text.encodePart(text));
    expect((await embeddings.create({ model: "small", input: ids })).data.map(({ embedding }) => embedding)).toEqual(vectors);
    expect((await embeddings.create({ model: "small", input: ids[1]! })).data[0]!.embedding).toEqual(vectors[1]);
  });

  it("may ask for fewer dimensions", async () => {
    const { data } = await embeddings.create({ model: "small", input: "Hello.", dimensions: 3, user: "u" });
    const [whole] = await direct("Hello.");
    const length = Math.hypot(...whole!.slice(0, 3));
    data[0]!.embedding.forEach((v, i) => expect(v).toBeCloseTo(whole![i]! / length, 6));
    expect(data[0]!.embedding).toHaveLength(3);
  });

  it("is told by name what is wrong", async () => {
    const error = await embeddings.create({ model: "nano", input: "Hello." }).catch((e: unknown) => e);
    expect(error).toMatchObject({ status: 400, param: "model", message: expect.stringContaining("nano has no head for embeddings") });
  });
});

describe("the AI SDK", () => {
  it("embeds one value, and many", async () => {
    const [hello, other] = await direct("Hello.", "x");
    expect(await embed({ model, value: "Hello." })).toMatchObject({ embedding: hello, usage: { tokens: 8 } });
    expect((await embedMany({ model, values: ["Hello.", "x"] })).embeddings).toEqual([hello, other]);
  });
});

describe("a body", () => {
  it.each<[what: string, body: object, status: number, code: string, param: string | null]>([
    ["without input", { model: "small" }, 400, "missing_required_parameter", "input"],
    ["without model", { input: "a" }, 400, "missing_required_parameter", "model"],
    ["with an empty text", { model: "small", input: "" }, 400, "empty_prompt", "input"],
    ["with an empty text among others", { model: "small", input: ["a", ""] }, 400, "empty_prompt", "input[1]"],
    ["with an empty list", { model: "small", input: [] }, 400, "invalid_type", "input"],
    ["with another kind of input", { model: "small", input: { text: "a" } }, 400, "invalid_type", "input"],
    ["with mixed inputs", { model: "small", input: ["a", [5]] }, 400, "invalid_type", "input[1]"],
    ["with what is no token", { model: "small", input: [5, "a"] }, 400, "invalid_type", "input[1]"],
    ["with a token outside the vocabulary", { model: "small", input: [5, 101] }, 400, "token_out_of_range", "input"],
    ["that is too long", { model: "small", input: "a".repeat(600) }, 400, "context_length_exceeded", "input"],
    ["with more than 2048 inputs", { model: "small", input: Array.from({ length: 2049 }, () => "a") }, 400, "invalid_value", "input"],
    ["with too many dimensions", { model: "small", input: "a", dimensions: 9 }, 400, "invalid_value", "dimensions"],
    ["with another encoding", { model: "small", input: "a", encoding_format: "int8" }, 400, "invalid_value", "encoding_format"],
    ["with an unknown field", { model: "small", input: "a", task: "query" }, 400, "unknown_parameter", "task"],
    ["for an unknown model", { model: "other", input: "a" }, 404, "model_not_found", "model"],
    ["with a wrong budget", { model: "small", input: "a", budget: { iterations: 0 } }, 400, "invalid_value", "budget.iterations"],
    ["beyond its budget", { model: "small", input: "a".repeat(400), budget: { cost_usd: 1e-12 } }, 422, "budget_infeasible", null],
  ])("%s is refused by name", async (_what, body, status, code, param) => {
    const response = await asked(call, "/v1/embeddings", body);
    expect(response.status, JSON.stringify(response.body)).toBe(status);
    expect(response.body.error).toMatchObject({ code, ...(param !== null && { param }) });
  });

  it("is told what it cost, never more than was granted, and gives all memory back", async () => {
    const events: { operation: string; units: number; granted: number }[] = [];
    const watched = app({
      model: embedder,
      onCompletion: ({ operation, report }) => void events.push({ operation, units: report.spending.units, granted: report.grant.units }),
    });
    const before = embedder.backend.memory().usedBytes;
    const { body } = await asked(watched, "/v1/embeddings", { model: "small", input: ["a", "bc"], budget: { latency_ms: 1e6 } });
    expect(body.usage).toMatchObject({ prompt_tokens: 7, iterations: { total: 1, mean: 1 } });
    expect(body.budget).toMatchObject({ limited_by: null });
    expect(events).toEqual([{ operation: "embeddings", units: expect.closeTo(body.usage.work_units, 4), granted: expect.any(Number) }]);
    expect(events[0]!.units).toBeLessThanOrEqual(events[0]!.granted);
    expect(embedder.backend.memory().usedBytes).toBe(before);
  });

  it("is announced by the model, and not to be fetched", async () => {
    const details = await (await call(`${SERVER}/v1/models/small`)).json<any>();
    expect(details.embeddings).toEqual({ dimensions: 8 });
    expect((await call(`${SERVER}/v1/embeddings`)).status).toBe(405);
  });
});

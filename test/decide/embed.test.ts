/** Vectors of texts: whose state they are, that they depend on no company, and what is refused before any work. */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { embed, prepareEmbeddings } from "../../engine/decide/embed.ts";
import { fixedDecisionPolicy } from "../../engine/decision-policy.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import type { EmbeddingHead } from "../../engine/model/embeddings.ts";
import type { Model } from "../../engine/port/index.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { randomFloats } from "../wasm/models.ts";
import { letters, MARKERS, SMALL_CONFIG, smallModel } from "./models.ts";

const { width } = SMALL_CONFIG;
const head: EmbeddingHead = { size: 6, matrix: randomFloats(6 * width, 81), begin: MARKERS.begin, end: MARKERS.question };

async function embedder(change: Partial<EmbeddingHead> = {}): Promise<Model> {
  return { ...(await smallModel()), embeddings: { ...head, ...change } };
}

async function expected(model: Model, text: string, size = 6): Promise<number[]> {
  const { backend } = model;
  const tokens = [MARKERS.begin, ...letters.encodePart(text), MARKERS.question];
  const sequence = backend.openSequence({ capacity: tokens.length, maxIterations: 1, cache: parseCacheStrategy("full") });
  const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
  await backend.iterate(rows);
  const state = await backend.latent(rows.at(-1)!, "raw");
  backend.closeSequence(sequence);
  const vector = Array.from({ length: size }, (_, r) => state.reduce((sum, x, i) => sum + x * head.matrix[r * width + i]!, 0));
  return vector.map((v) => v / Math.hypot(...vector));
}

describe("a vector", () => {
  it("is the mapped state behind its text, at length 1", async () => {
    const model = await embedder();
    const [vector] = await embed(prepareEmbeddings(model, ["Hello."]));
    (await expected(model, "Hello.")).forEach((v, i) => expect(vector![i], `element ${i}`).toBeCloseTo(v, 6));
    expect(Math.hypot(...vector!)).toBeCloseTo(1, 6);
    expect(model.backend.memory().usedBytes).toBe(0);
  });

  it("is the same bits alone, in company and as token ids, in the order given", async () => {
    const model = { ...(await smallModel("branches", createNodeWasmBackend)), embeddings: head } as Model;
    const texts = ["Hello.", "A longer text than the others, by far.", "x", "Hello."];
    const together = await embed(prepareEmbeddings(model, texts));
    for (const [i, text] of texts.entries()) expect((await embed(prepareEmbeddings(model, [text])))[0], text).toEqual(together[i]);
    expect(
      await embed(
        prepareEmbeddings(
          model,
          texts.map((text) => letters.encodePart(text)),
        ),
      ),
    ).toEqual(together);
  });

  it("of fewer dimensions is its beginning, at length 1 again", async () => {
    const model = await embedder();
    const prepared = prepareEmbeddings(model, ["Hello."]);
    const [short] = await embed(prepared, { dimensions: 2 });
    (await expected(model, "Hello.", 2)).forEach((v, i) => expect(short![i]).toBeCloseTo(v, 6));
    for (const dimensions of [0, 7, 1.5]) await expect(embed(prepared, { dimensions })).rejects.toThrow(/whole number from 1 to 6/);
  });

  it("costs what its shape says: the prelude and one iteration of all rows", async () => {
    const prepared = prepareEmbeddings(await embedder(), ["abc", "de"]);
    expect(prepared.inputTokens).toBe(9);
    const ran: number[] = [];
    const policy = { ...fixedDecisionPolicy(1, NEVER_EXIT), ran: ({ rows }: { rows: number }) => void ran.push(rows) };
    await embed(prepared, { policy });
    expect(ran).toEqual([9]);
    expect(prepared.shape.passes.map(({ rows }) => rows.rows)).toEqual([9]);
  });

  it("is not begun where its caller has gone", async () => {
    const prepared = prepareEmbeddings(await embedder(), ["abc"]);
    const stop = new AbortController();
    stop.abort(new Error("gone"));
    await expect(embed(prepared, { signal: stop.signal })).rejects.toThrow("gone");
  });

  it.each<[RegExp, string, (string | number[])[]]>([
    [/There is no input/, "invalid_request", []],
    [/input\[1\] is empty/, "empty_prompt", ["a", ""]],
    [/input\[0\] is empty/, "empty_prompt", [[]]],
    [/input\[0\] has the token 101; ids go from 0 to 100/, "token_out_of_range", [[5, 101]]],
    [/input\[1\] takes 602 tokens, more than the model's context of 512/, "context_overflow", ["a", "a".repeat(600)]],
  ])("is refused before any work: %s", async (message, code, inputs) => {
    const model = await embedder();
    expect(() => prepareEmbeddings(model, inputs)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  it("is not to be had of a model without a head", async () => {
    const model = await smallModel();
    expect(() => prepareEmbeddings(model, ["a"])).toThrow(/small has no head for embeddings/);
  });
});

/** The matrix that makes vectors of texts, read from a model's folder. */
import { describe, expect, it } from "vitest";
import { defaultCard, namedFiles, parseCard } from "../../engine/model/card.ts";
import { readEmbeddings } from "../../engine/model/embeddings.ts";
import { memoryFolder, safetensors } from "../engine/files.ts";
import { letters, SMALL_CONFIG } from "./models.ts";

const { width, vocabSize } = SMALL_CONFIG;

function read(embeddings: object | undefined, shape = [4, width]) {
  const bytes = new Uint8Array(new Float32Array(shape[0]! * shape[1]!).fill(0.5).buffer);
  const file = safetensors({ text: { dtype: "F32", shape, data_offsets: [0, bytes.length] } }, bytes);
  const card = parseCard({ ...defaultCard("small", SMALL_CONFIG), embeddings }, SMALL_CONFIG);
  return readEmbeddings(memoryFolder({ "match.safetensors": file }), card, SMALL_CONFIG, letters);
}

describe("a folder's embedding head", () => {
  it("is read with the tokens around a text, and is a file of the model's", async () => {
    const embeddings = { tensor: "text", markers: { begin: 0, end: 1 } };
    expect(await read(embeddings)).toMatchObject({ size: 4, begin: 0, end: 1 });
    expect((await read({ ...embeddings, markers: { end: 1 } }))!.begin).toBeUndefined();
    expect(await read(undefined)).toBeUndefined();
    expect(namedFiles(parseCard({ ...defaultCard("small", SMALL_CONFIG), embeddings }))).toEqual(["match.safetensors"]);
  });

  it.each([
    [/embeddings\.markers: /, { tensor: "text" }],
    [/embeddings\.markers\.end: "<\|end\|>" is not a token/, { tensor: "text", markers: { end: "<|end|>" } }],
    [new RegExp(`token ${vocabSize} is outside`), { tensor: "text", markers: { end: vocabSize } }],
    [/no tensor other, which card\.json names in embeddings/, { tensor: "other", markers: { end: 1 } }],
    [/lacks head\.safetensors/, { file: "head.safetensors", tensor: "text", markers: { end: 1 } }],
  ])("is refused where it does not fit: %s", async (says, embeddings) => {
    await expect((async () => read(embeddings))()).rejects.toThrow(says);
  });

  it("is refused where it is not as wide as a state", async () => {
    await expect(read({ tensor: "text", markers: { end: 1 } }, [4, 7])).rejects.toThrow(/\[4, 7\]; a matrix of 32 columns/);
  });
});

/**
 * The shipped model in f32: onnxruntime-web against the Wasm core, an independent implementation of the same model.
 */
import { describe, expect, it } from "vitest";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { TOLERANCE } from "../golden/report.ts";
import { greedy, nanoF32, nanoPrompts } from "./models.ts";

const PROMPTS = 200;
const ITERATIONS = 16;

describe("the shipped model in f32", () => {
  it(`gives the Wasm core's logits and tokens on ${PROMPTS} prompts`, { timeout: 240_000 }, async () => {
    const { config, load } = await nanoF32();
    const [onnx, wasm] = [await createNodeOnnxBackend(config, load), await createNodeWasmBackend(config, load)];
    let largest = 0;
    for (const prompt of await nanoPrompts(config, PROMPTS)) {
      const [actual, expected] = [await greedy(onnx, prompt, ITERATIONS, 6), await greedy(wasm, prompt, ITERATIONS, 6)];
      expect(actual.tokens).toEqual(expected.tokens);
      actual.logits.forEach((logits, i) => logits.forEach((v, t) => (largest = Math.max(largest, Math.abs(v - expected.logits[i]![t]!)))));
    }
    expect(largest).toBeLessThan(TOLERANCE);
    await onnx.close();
  });
});

/**
 * One question to a model on Deno: on its WebGPU where there is a GPU, else on Wasm. The model is the shipped one, or what lies in
 * a folder that `deno run -A npm:fathom-edge convert` has made.
 *   deno run -A ask.ts "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"
 *   deno run -A ask.ts "What is 17 + 25?" ./ouro-q4
 */
import { answer, loadModel } from "fathom-edge/engine";
import { createNodeWasmBackend, diskFolder, shippedModel } from "fathom-edge/node";
import { gpuFirst } from "fathom-edge/webgpu";
import { browserDevice } from "fathom-edge/webgpu/browser";

declare const Deno: { readonly args: readonly string[] };

const [question = "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?", folder = shippedModel("nano")] = Deno.args;
const model = await loadModel(diskFolder(folder), gpuFirst(await browserDevice(), createNodeWasmBackend, console.error));
const { card, text } = model;
const prompt = text.encodeChat([{ role: "user", content: question }]);
const options = {
  prompt,
  maxTokens: card.maxCompletionTokens,
  iterations: card.iterations,
  exit: card.exitRule,
  cache: card.cacheStrategy,
};
let said = "";
for await (const piece of answer(model, options)) said += piece.text;
console.log(`${said.trim()} (on ${model.backend.name})`);

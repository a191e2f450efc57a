/**
 * One question to the shipped model on Deno: on its WebGPU where there is a GPU, else on Wasm.
 *   deno run -A ask.ts "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"
 */
import { answer, loadModel } from "fathom-edge/engine";
import { urlFolder } from "fathom-edge/folders";
import { browserWasm } from "fathom-edge/wasm/browser";
import { gpuFirst } from "fathom-edge/webgpu";
import { browserDevice } from "fathom-edge/webgpu/browser";

declare const Deno: { readonly args: readonly string[] };

const nano = new URL("./", import.meta.resolve("fathom-edge/models/nano/config.json"));
const model = await loadModel(urlFolder(nano), gpuFirst(await browserDevice(), browserWasm({ kv: "f32" }), console.error));
const { card, text } = model;
const prompt = text.encodeChat([
  { role: "user", content: Deno.args.join(" ") || "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?" },
]);
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

/**
 * The engine in a Node process of your own: no server, no GPU.
 *   node ask.ts "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"
 */
import { answer, loadModel } from "fathom-edge/engine";
import { createNodeWasmBackend, diskFolder, shippedModel } from "fathom-edge/node";

const question = process.argv[2] ?? "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?";
const model = await loadModel(diskFolder(shippedModel("nano")), createNodeWasmBackend);
const { card, text } = model;
const prompt = text.encodeChat([{ role: "user", content: question }]);

for (const iterations of [1, 2, 4, 8, 16]) {
  const options = { prompt, maxTokens: card.maxCompletionTokens, iterations, exit: card.exitRule, cache: card.cacheStrategy };
  let said = "";
  for await (const piece of answer(model, options)) said += piece.text;
  console.log(`at most ${iterations} iterations a token:${said}`);
}

/**
 * A page that runs the model in the browser. esbuild copies the Wasm builds and gives their names (--loader:.wasm=file);
 * with Vite or webpack leave the names out: browserWasm() finds the builds by itself.
 */
import { answer, loadModel } from "fathom-edge/engine";
import { urlFolder } from "fathom-edge/folders";
import { browserWasm } from "fathom-edge/wasm/browser";
import relaxed from "fathom-edge/wasm/build/relaxed.wasm";
import simd from "fathom-edge/wasm/build/simd.wasm";

const model = await loadModel(urlFolder(new URL("models/nano/", document.baseURI)), browserWasm({ relaxed, simd }));
const { card, text } = model;

/** Writes an answer into the page as it is made. */
async function ask(question: string, output: HTMLElement): Promise<void> {
  const prompt = text.encodeChat([{ role: "user", content: question }]);
  const options = {
    prompt,
    maxTokens: card.maxCompletionTokens,
    iterations: card.iterations,
    exit: card.exitRule,
    cache: card.cacheStrategy,
  };
  output.textContent = "";
  for await (const piece of answer(model, options)) output.append(piece.text);
}

const form = document.querySelector("form")!;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void ask(form.querySelector("input")!.value, document.querySelector("output")!);
});
document.querySelector("output")!.textContent = `${card.id} is ready.`;

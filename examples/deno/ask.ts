/**
 * One question to the shipped model on Deno's own WebGPU:
 *   deno run --allow-read examples/deno/ask.ts "17 + 25 ="
 */
import { generate } from "../../engine/decode/generate.ts";
import { createWebGpuBackend } from "../../kernels/index.ts";
import { browserDevice } from "../../kernels/browser.ts";
import { loadModel } from "../../engine/port/model.ts";
import { diskFolder } from "../../cli/files.ts";

declare const Deno: { readonly args: readonly string[]; exit(status: number): never };

const probe = await browserDevice();
if ("missing" in probe) {
  console.error(`No WebGPU here, because ${probe.missing}.`);
  Deno.exit(1);
}
const { device, description, languageFeatures, close } = probe.found;
const { backend, card, config, text } = await loadModel(
  diskFolder(new URL("../../models/nano", import.meta.url).pathname),
  createWebGpuBackend(device, { languageFeatures }),
);
console.error(`${card.id} on ${description}`);
const prompt = text.encodeChat([{ role: "user", content: Deno.args.join(" ") }]);
const stopTokens = new Set(config.eosTokens);
const options = {
  prompt,
  maxTokens: card.maxCompletionTokens,
  iterations: card.iterations,
  exit: card.exitRule,
  cache: card.cacheStrategy,
  stopTokens,
};
const tokens: number[] = [];
for await (const { token } of generate(backend, options)) tokens.push(token);
console.log(text.decode(tokens));
await close();

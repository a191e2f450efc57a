/**
 * fathom embed "...": the vector of a text on the terminal, or a line of JSON for each line of a file. Through the server's
 * own executor.
 */
import { readFile } from "node:fs/promises";
import { WORKERS } from "../engine/budget/price.ts";
import { FathomError } from "../engine/errors.ts";
import type { Model } from "../engine/port/model.ts";
import { DEFAULT_LIMITS } from "../worker/budget.ts";
import { runEmbeddings } from "../worker/embeddings/execute.ts";
import { hostClock, breathe } from "../worker/host.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { BACKENDS, CORE, loadNodeModel } from "./models.ts";
import { withProgress } from "./progress.ts";
import { readPrompt } from "./prompt.ts";

/** Texts of a file that are computed at once. */
const AT_ONCE = 256;

export const embedCommand = defineCommand({
  meta: { name: "embed", description: "Make vectors of texts" },
  examples: ['fathom embed "I lost my card." --model ./decider', "fathom embed --file texts.txt --model ./decider"],
  args: {
    text: { type: "positional", required: false, description: "the text; read from standard input where it is missing or -" },
    file: { type: "string", description: "a text on each line; prints a line of JSON for each, in their order" },
    model: { type: "string", description: "a model folder, or the name of a shipped model; its card has embeddings" },
    dimensions: { type: "string", description: "elements to keep of a vector [all]" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
  },
  async run({ args }) {
    if (args.model === undefined) throw wrong("--model is missing: a model whose card has embeddings.", "--model");
    if (args.file !== undefined && args.text !== undefined) throw wrong("--file brings its own texts; leave the text out.", "--file");
    const dimensions = args.dimensions === undefined ? undefined : wholeNumber("--dimensions", args.dimensions, 1, Number.MAX_SAFE_INTEGER);
    const texts = args.file === undefined ? [await readPrompt(args.text)] : await linesOf(args.file);
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS), args);
    await withProgress(texts.length, "texts", async (step) => {
      for (let at = 0; at < texts.length; at += AT_ONCE) {
        const part = texts.slice(at, at + AT_ONCE);
        for (const vector of await embedded(model, part, dimensions)) console.log(JSON.stringify([...vector]));
        step(part.length);
      }
    });
  },
});

async function linesOf(file: string): Promise<string[]> {
  const lines = (await readFile(file, "utf8")).split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  const blank = lines.findIndex((line) => line.trim() === "");
  if (blank >= 0) throw wrong(`${file}, line ${blank + 1} is empty; give a text on each line.`, "--file");
  if (lines.length === 0) throw wrong(`${file} holds no text.`, "--file");
  return lines;
}

async function embedded(model: Model, inputs: readonly string[], dimensions: number | undefined): Promise<readonly Float32Array[]> {
  const request = { model: model.card.id, inputs, isSingle: inputs.length === 1, dimensions, format: "float", budget: undefined } as const;
  const settings = { limits: DEFAULT_LIMITS, price: WORKERS, clock: hostClock, breathe, signal: new AbortController().signal };
  return (await runEmbeddings(model, { ...request, effort: undefined, maxTokens: undefined }, settings)).vectors;
}

function wrong(message: string, param: string): FathomError {
  return new FathomError("invalid_request", message, param);
}

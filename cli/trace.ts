/**
 * fathom trace "...": what happens between iterations of one answer, as a table or as JSON for a plot.
 */
import { trace } from "../engine/decode/trace.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel } from "./models.ts";
import { readPrompt } from "./prompt.ts";

export const traceCommand = defineCommand({
  meta: { name: "trace", description: "Show states, movements and guesses after every iteration" },
  examples: ['fathom trace "Start with 3. Add 4. What is the last digit?" --exit none'],
  args: {
    prompt: { type: "positional", required: false, description: "the question; read from standard input where it is missing or -" },
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    iterations: { type: "string", description: "most core iterations a token [the card's]" },
    exit: { type: "string", description: "exit rule, CRITERION[:THRESHOLD] [the card's]" },
    "max-tokens": { type: "string", default: "8", description: "most tokens of the answer" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const rule = args.exit === undefined ? undefined : parseExitRule(args.exit);
    const backend = choice("--backend", args.backend, BACKENDS);
    const content = await readPrompt(args.prompt);
    const model = await loadNodeModel(args.model, backend, args);
    const { card, text } = model;
    const result = await trace(model.backend, {
      prompt: text.encodeChat([{ role: "user", content }]),
      maxTokens: wholeNumber("--max-tokens", args["max-tokens"], 1, model.config.contextLength),
      iterations: args.iterations === undefined ? card.iterations : wholeNumber("--iterations", args.iterations, 1, card.maxIterations),
      exit: rule ?? card.exitRule,
      cache: card.cacheStrategy,
      stopTokens: new Set(model.config.eosTokens),
    });
    const named = result.tokens.map((t) => ({
      ...t,
      text: text.tokenName(t.token),
      lens: t.lens.map((guesses) => guesses.map((g) => ({ ...g, text: text.tokenName(g.token) }))),
    }));
    if (args.json) {
      console.log(JSON.stringify({ model: card.id, explained: result.explained, tokens: named }));
      return;
    }
    for (const token of named) {
      console.log(`\n${JSON.stringify(token.text)}: ${token.iterations} iterations${token.exited ? "" : " (limit)"}`);
      console.table(
        token.norms.map((norm, t) => ({
          iteration: t + 1,
          movement: round(token.movements[t]!),
          norm: round(norm),
          "entropy (nats)": round(token.entropies[t]!),
          guesses: token.lens[t]!.map((g) => `${g.text} ${(g.probability * 100).toFixed(0)} %`).join("  "),
        })),
      );
    }
  },
});

function round(value: number): number {
  return Number(value.toPrecision(3));
}

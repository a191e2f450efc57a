/**
 * fathom ask "...": one answer on the terminal, with the iterations that each token took.
 */
import { answer, countIterations } from "../engine/decode/answer.ts";
import type { GeneratedToken } from "../engine/decode/generate.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import { formOf, offForm } from "../engine/model/forms.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel } from "./models.ts";
import { withReports } from "./progress.ts";
import { readPrompt } from "./prompt.ts";

export const askCommand = defineCommand({
  meta: { name: "ask", description: "Answer one prompt" },
  examples: [
    'fathom ask "Start with 3. Add 4. What is the last digit?" --iterations 16',
    'echo "Begin at 5. Double it. What is the last digit?" | fathom ask --json',
  ],
  args: {
    prompt: { type: "positional", required: false, description: "the question; read from standard input where it is missing or -" },
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    iterations: { type: "string", description: "most core iterations a token [the card's]" },
    exit: { type: "string", description: "exit rule, CRITERION[:THRESHOLD]; none: always run to the limit [the card's]" },
    "max-tokens": { type: "string", description: "most tokens of the answer [the card's]" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const rule = args.exit === undefined ? undefined : parseExitRule(args.exit);
    const backend = choice("--backend", args.backend, BACKENDS);
    const content = await readPrompt(args.prompt);
    const model = await loadNodeModel(args.model, backend, args);
    const { card } = model;
    const iterations =
      args.iterations === undefined ? card.iterations : wholeNumber("--iterations", args.iterations, 1, card.maxIterations);
    const maxTokens =
      args["max-tokens"] === undefined
        ? card.maxCompletionTokens
        : wholeNumber("--max-tokens", args["max-tokens"], 1, model.config.contextLength);
    const exit = rule ?? card.exitRule;
    const prompt = model.text.encodeChat([{ role: "user", content }]);

    const tokens: GeneratedToken[] = [];
    let text = "";
    let finish: string | undefined;
    await withReports("tokens", async (report) => {
      for await (const piece of answer(model, { prompt, maxTokens, iterations, exit, cache: card.cacheStrategy })) {
        text += piece.text;
        if (piece.token !== undefined) tokens.push(piece.token);
        finish = piece.finish;
        report(tokens.length, maxTokens);
      }
    });
    const named = tokens.map((t) => ({ token: t.token, text: model.text.tokenName(t.token), iterations: t.iterations, exited: t.exited }));
    const counts = countIterations(tokens);
    if (args.json) {
      const form = card.forms && { form: formOf(card.forms, content)?.name ?? null };
      console.log(JSON.stringify({ answer: text.trim(), finish, promptTokens: prompt.length, tokens: named, iterations: counts, ...form }));
      return;
    }
    console.log(text.trim());
    const each = named.map((t) => `${JSON.stringify(t.text)} ${t.iterations}${t.exited ? "" : " (limit)"}`);
    console.error(`iterations: ${each.join(", ")}; ${prompt.length} prompt tokens, at most ${iterations} a token`);
    const warning = offForm(card.id, card.forms, content);
    if (warning !== undefined) console.error(warning);
  },
});

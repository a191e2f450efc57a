/**
 * fathom decide "...": typed questions about an input, answered on the terminal; or a file of requests as the server takes
 * them, answered as the server answers. Both go through the server's own reader and executor.
 */
import { readFile } from "node:fs/promises";
import { WORKERS } from "../engine/budget/price.ts";
import { lowFitWords } from "../engine/decide/low-fit.ts";
import { FathomError } from "../engine/errors.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import { offForm } from "../engine/model/forms.ts";
import type { Model } from "../engine/port/model.ts";
import { DEFAULT_LIMITS } from "../worker/budget.ts";
import { runDecision } from "../worker/decisions/execute.ts";
import { parseDecisions } from "../worker/decisions/openai.ts";
import type { DecisionReport, ParsedDecision } from "../worker/decisions/request.ts";
import { parseSent, writeJson } from "../worker/decisions/sent-json.ts";
import { parseSystemOne } from "../worker/decisions/systemone.ts";
import { breathe, hostClock } from "../worker/host.ts";
import { choice, repeated, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { hasBase } from "./model-files.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "./models.ts";
import { ownQuestion } from "./own-labels.ts";
import { readPrompt } from "./prompt.ts";

const KINDS = ["predicate", "choice", "score"] as const;
type Kind = (typeof KINDS)[number];

export const decideCommand = defineCommand({
  meta: { name: "decide", description: "Answer a typed question about an input with probabilities" },
  examples: [
    'fathom decide "I never received my refund!" --question "What is it about?" --option billing --option technical',
    'fathom decide "I never received my refund!" --question "The customer waits for money." --json',
    'fathom decide "I never received my refund!" --model ./my-model',
    "fathom decide --file requests.jsonl",
  ],
  args: {
    input: {
      type: "positional",
      required: false,
      description: "what the question is about; read from standard input where it is missing or -",
    },
    question: { type: "string", description: "the question, or for a predicate the statement [the labels that the model was trained on]" },
    option: {
      type: "string",
      repeats: true,
      description: "an option of a choice, or a level of a score, lowest first; give it once for each",
    },
    kind: { type: "string", description: `${KINDS.join(", ")} [choice where there are options, else predicate]` },
    file: { type: "string", description: "JSONL: on each line a body of /v1/decisions or /v1/systemone, model left out" },
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    iterations: { type: "string", description: "most core iterations of the question [the card's]" },
    exit: { type: "string", description: "exit rule, CRITERION[:THRESHOLD]; none: always run to the limit [the card's]" },
    backend: { type: "string", default: "wasm", description: BACKENDS.join(" or ") },
    ...CORE,
    json: { type: "boolean", default: false, description: "print the response of /v1/decisions" },
  },
  async run({ args }) {
    const backend = choice("--backend", args.backend, BACKENDS);
    if (args.file !== undefined) {
      const other = (["input", "question", "option", "kind", "iterations", "exit"] as const).find((name) => args[name] !== undefined);
      if (other !== undefined) throw wrong(`--file brings its own; leave ${other === "input" ? "the input" : `--${other}`} out.`, "--file");
      const lines = await readLines(args.file);
      const model = await loadNodeModel(args.model, backend, args);
      for (const parsed of lines) console.log(writeJson(await responseTo(model, parsed)));
      return;
    }
    const options = repeated(args.option);
    const isOwn = args.question === undefined && options.length === 0 && args.kind === undefined;
    if (isOwn && !hasBase(modelPath(args.model)))
      throw wrong('--question is missing; ask with --question "..." or --file FILE.', "--question");
    const body = isOwn ? undefined : await bodyOf(args, options);
    const model = await loadNodeModel(args.model, backend, args);
    const parsed = parseDecisions(parseSent(JSON.stringify(body ?? (await ownBody(args, model)))), "");
    const report = await decided(model, parsed);
    if (args.json) console.log(writeJson(parsed.respond(model.card.id, report)));
    else printAnswer(report, parsed, model);
  },
});

interface Asking {
  readonly input?: string | undefined;
  readonly question?: string | undefined;
  readonly kind?: string | undefined;
  readonly iterations?: string | undefined;
  readonly exit?: string | undefined;
}

/** The labels that the model was trained on, as a body of /v1/decisions. */
async function ownBody(asking: Asking, model: Model): Promise<object> {
  const { kind, instructions, options } = ownQuestion(model);
  return bodyOf({ ...asking, question: instructions, kind }, options);
}

/** The command line as a body of /v1/decisions. */
async function bodyOf({ input, question, kind: named, iterations, exit }: Asking, options: readonly string[]): Promise<object> {
  if (question === undefined) throw wrong('--question is missing; ask with --question "..." or --file FILE.', "--question");
  const kind = named === undefined ? (options.length > 0 ? "choice" : "predicate") : choice<Kind>("--kind", named, KINDS);
  if (kind === "predicate" && options.length > 0)
    throw wrong("A predicate has no options; leave --option out, or use --kind choice.", "--option");
  if (kind !== "predicate" && options.length < 2)
    throw wrong(`A ${kind} needs two or more options; give --option once for each.`, "--option");
  const budget = {
    ...(iterations !== undefined && { iterations: wholeNumber("--iterations", iterations, 1, Number.MAX_SAFE_INTEGER) }),
    ...(exit !== undefined && { exit: parseExitRule(exit) }),
  };
  return {
    input: await readPrompt(input),
    questions: [
      {
        type: kind,
        instructions: question,
        ...(kind === "choice" && { choices: options.map((value) => ({ value })) }),
        ...(kind === "score" && { levels: options.map((label) => ({ label })) }),
      },
    ],
    budget,
  };
}

/** Every line is read before any is answered. @throws {FathomError} invalid_request naming file and line */
async function readLines(file: string): Promise<ParsedDecision[]> {
  const text = await readFile(file, "utf8");
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      const sent = parseSent(line);
      return ["state" in Object(sent.value) ? parseSystemOne(sent, "") : parseDecisions(sent, "")];
    } catch (error) {
      throw wrong(`${file}, line ${i + 1}: ${(error as Error).message}`, "--file", error);
    }
  });
}

function decided(model: Model, { request }: ParsedDecision): Promise<DecisionReport> {
  const signal = new AbortController().signal;
  return runDecision(model, request, { limits: DEFAULT_LIMITS, price: WORKERS, clock: hostClock, breathe, signal });
}

async function responseTo(model: Model, parsed: ParsedDecision): Promise<object> {
  return parsed.respond(model.card.id, await decided(model, parsed));
}

/** The most probable first, one a line; what it took on standard error. */
function printAnswer({ decision: { answers, form } }: DecisionReport, { request }: ParsedDecision, { card }: Model): void {
  const [answer] = answers as [(typeof answers)[number]];
  const [question] = request.questions;
  const texts = question!.kind === "predicate" ? ["yes"] : question!.options.map(({ text }) => text);
  const rows = texts.map((text, i) => ({ text, probability: answer.probabilities[i]! }));
  for (const { text, probability } of answer.kind === "score" ? rows : rows.toSorted((a, b) => b.probability - a.probability))
    console.log(`${(probability * 100).toFixed(1).padStart(5)} %  ${text}`);
  if (answer.score !== undefined) console.log(`score  ${answer.score.toFixed(2)}`);
  const fit = Math.max(...answer.fits);
  const mass = answer.labelMass === undefined ? "" : `, label mass ${answer.labelMass.toPrecision(2)}`;
  console.error(
    `iterations: ${answer.iterations}, settled at ${answer.settledAt}; fit ${fit.toPrecision(2)}${lowFitWords(answer.kind, fit, answer.abstained)}${mass}; by ${form}`,
  );
  const warning = offForm(card.id, card.forms, request.input);
  if (warning !== undefined) console.error(warning);
}

function wrong(message: string, param: string, cause?: unknown): FathomError {
  return new FathomError("invalid_request", message, param, { cause });
}

/**
 * A folder's chat template: chat_template.jinja, else the one in tokenizer_config.json. Given what transformers gives
 * it, tried on a conversation at load, run within bounds (template-interpreter.ts). Not here: tokens.
 */
import { Environment, parse, tokenize } from "@huggingface/jinja";
import { FathomError } from "../../errors.ts";
import { MS_PER_TEMPLATE_STEP, type OnTextWork } from "../../text-work.ts";
import type { ModelFolder } from "../folder.ts";
import { guard, isGuarded, reveal } from "./guarded-text.ts";
import { TemplateSteps } from "./template-steps.ts";
import { strftime, type Moment } from "./strftime.ts";
import { RaisedByTemplate, TemplateInterpreter } from "./template-interpreter.ts";

/** A message of a conversation. */
export interface ChatMessage {
  /** system, user, assistant or tool. */
  readonly role: string;
  readonly content: string;
}

/** Messages to a prompt's text, the callers' part of it marked. @throws {FathomError} invalid_request, invalid_template; what onWork throws */
export type ChatTemplate = (messages: readonly ChatMessage[], onWork?: OnTextWork) => string;

const FILE = "chat_template.jinja";
const CONFIG_FIELD = "tokenizer_config.json: chat_template";
const ROLES = ["system", "user", "assistant", "tool"];

/** Published templates have up to 20,000 characters; the library's lexer takes quadratic time over white space. */
const LONGEST_TEMPLATE = 1 << 17;
const LONGEST_GAP = /\s{2000}/;
const MOST_ITEMS_OF_RANGE = 50_000;

/** Most messages of a chat, more than any context holds; a template's own bounds are for its own faults. */
const MOST_MESSAGES = 4096;
const LONGEST_CONVERSATION = 1_500_000;

/** The wall clock as the language tells it, in the host's time zone. */
const CLOCK = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
  year: "numeric",
  month: "numeric",
  day: "numeric",
  hour: "numeric",
  minute: "numeric",
  hourCycle: "h23",
});

/**
 * Reads and tries a folder's chat template.
 * @param chatTemplate tokenizer_config.json's own: a text, or a list of named ones of which "default" counts
 * @param variables what it may use besides the messages: bos_token and its like
 * @returns undefined where there is none
 * @throws {FathomError} invalid_tokenizer where it is not a template, invalid_template where it fails; naming the file
 */
export async function readTemplate(
  folder: ModelFolder,
  chatTemplate: unknown,
  variables: Readonly<Record<string, unknown>>,
): Promise<ChatTemplate | undefined> {
  const file = await folder.readText(FILE);
  const source = file ?? inConfig(folder, chatTemplate);
  if (source === undefined) return undefined;
  const name = `${folder.name}/${file === undefined ? CONFIG_FIELD : FILE}`;
  const program = compile(name, source);
  const render: ChatTemplate = (messages, onWork) => {
    const steps = new TemplateSteps(stepsFor(messages), (count) => onWork?.(count * MS_PER_TEMPLATE_STEP));
    const { value } = new TemplateInterpreter(environment(messages, variables), steps).run(program);
    steps.report();
    return value as string;
  };
  try {
    render([{ role: "user", content: guard("Hello") }]);
  } catch (error) {
    if (!(error instanceof RaisedByTemplate)) throw broken(`${name} fails on a single user message`, error);
  }
  return (messages, onWork) => {
    checkMessages(messages);
    try {
      return render(
        messages.map(({ role, content }) => ({ role, content: guard(content) })),
        onWork,
      );
    } catch (error) {
      if (error instanceof FathomError) throw error;
      if (!(error instanceof RaisedByTemplate)) throw broken(`${name} fails on these messages`, error);
      throw new FathomError("invalid_request", `The model's chat template refuses these messages: ${error.message}`, "messages", {
        cause: error,
      });
    }
  };
}

function inConfig(folder: ModelFolder, chatTemplate: unknown): string | undefined {
  if (chatTemplate === undefined || typeof chatTemplate === "string") return chatTemplate;
  const named = Array.isArray(chatTemplate) ? chatTemplate : [];
  const found = named.find((entry) => entry?.name === "default")?.template;
  if (typeof found === "string") return found;
  throw new FathomError(
    "invalid_template",
    `${folder.name}/${CONFIG_FIELD} is neither a text nor a list of named templates with one called "default".`,
    "chat_template",
  );
}

function compile(name: string, source: string): ReturnType<typeof parse> {
  if (source.length > LONGEST_TEMPLATE || LONGEST_GAP.test(source))
    throw broken(`${name} cannot be used`, new Error(`it has more than ${LONGEST_TEMPLATE} characters, or 2000 of white space in a row`));
  if (source.trim() === "") throw broken(`${name} cannot be used`, new Error("it is empty, and would answer as if nobody had asked"));
  if (isGuarded(source)) throw broken(`${name} cannot be used`, new Error("it holds private-use characters of plane 15"));
  try {
    // as Jinja reads its sources and as transformers sets its blocks
    return parse(tokenize(source.replace(/\r\n?/g, "\n"), { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    throw new FathomError("invalid_tokenizer", `${name} is not a template: ${(error as Error).message}.`, FILE, { cause: error });
  }
}

/** What a template finds: transformers' globals, its special tokens, the conversation. */
function environment(messages: readonly ChatMessage[], variables: Readonly<Record<string, unknown>>): Environment {
  const scope = new Environment();
  const globals = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: unknown) => {
      throw new RaisedByTemplate(reveal(String(message)));
    },
    strftime_now: (format: unknown) => strftime(now(), String(format)),
    range: boundedRange,
    tools: null,
    documents: null,
    add_generation_prompt: true,
    ...variables,
    messages,
  };
  for (const [name, value] of Object.entries(globals)) scope.set(name, value);
  return scope;
}

function now(): Moment {
  const told = Object.fromEntries(CLOCK.formatToParts().map(({ type, value }) => [type, Number(value)]));
  return { year: told["year"]!, month: told["month"]!, day: told["day"]!, hour: told["hour"]!, minute: told["minute"]! };
}

function boundedRange(first: unknown, second?: unknown, step: unknown = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (![start, stop, step].every((n) => Number.isSafeInteger(n)) || step === 0) throw new Error("range() takes whole numbers");
  const length = Math.max(0, Math.ceil(((stop as number) - (start as number)) / (step as number)));
  if (length > MOST_ITEMS_OF_RANGE) throw new Error(`range() of more than ${MOST_ITEMS_OF_RANGE} numbers`);
  return Array.from({ length }, (_, i) => (start as number) + i * (step as number));
}

/** Steps a template may take; a published template takes 20 to 100 a message. */
function stepsFor(messages: readonly ChatMessage[]): number {
  return 100_000 + 400 * messages.length + lengthOf(messages);
}

function lengthOf(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, { content }) => sum + content.length, 0);
}

function checkMessages(messages: readonly ChatMessage[]): void {
  const foreign = messages.find(({ role }) => !ROLES.includes(role));
  // templates write roles into markers, so a role is no place for a caller's own words
  if (foreign !== undefined)
    throw new FathomError(
      "invalid_request",
      `There is no role ${JSON.stringify(foreign.role).slice(0, 40)}; give ${ROLES.join(", ")}.`,
      "messages",
    );
  const characters = lengthOf(messages);
  if (messages.length > MOST_MESSAGES || characters > LONGEST_CONVERSATION)
    throw new FathomError(
      "context_overflow",
      `The conversation has ${messages.length} messages and ${characters} characters, more than the ${MOST_MESSAGES} and ${LONGEST_CONVERSATION} that can be read; shorten it.`,
      "messages",
    );
}

function broken(what: string, error: unknown): FathomError {
  return new FathomError("invalid_template", `${what}: ${(error as Error).message}.`, FILE, { cause: error });
}

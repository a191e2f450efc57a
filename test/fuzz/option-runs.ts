/**
 * One run of the option fuzzer: a random object of options, right or wrong in random places and of a random shape.
 * A wrong one must be refused by name when the app is created; a right one must do exactly what it says.
 */
import { defaultCard, parseCard } from "../../engine/model/card.ts";
import { parseConfig } from "../../engine/model/config.ts";
import type { Model } from "../../engine/port/model.ts";
import { createApp } from "../../worker/app.ts";
import { TINY_CONFIG } from "../engine/files.ts";
import { tinyBackend } from "../schedule/backend.ts";
import { diceOf, type Dice } from "./dice.ts";
import { optionSpecs, ORIGIN, type Expected, type OptionSpec } from "./option-values.ts";

export interface OptionRun {
  readonly kind: "refused" | "served";
  readonly failures: readonly string[];
}

const CARD_TOKENS = 6;
/** Deeper and longer than any ceiling that is drawn. */
const ASKED = { iterations: 8, tokens: 12 };
const BIG_BODY_BYTES = 1 << 20;

/** A tiny random model whose text is digits. */
export async function fuzzModel(): Promise<Model> {
  const config = { ...parseConfig(TINY_CONFIG), eosTokens: [] };
  const encode = (text: string): number[] => [...text].map((letter) => 2 + (letter.codePointAt(0)! % 8));
  const text = {
    encode,
    encodePart: encode,
    tokenId: () => undefined,
    encodeChat: (messages: readonly { content: string }[]) => messages.flatMap(({ content }) => encode(content)),
    decode: (tokens: readonly number[]) => tokens.map((token) => token % 10).join(""),
    tokenName: (token: number) => String(token),
  };
  const card = parseCard({ ...defaultCard("tiny", config), maxCompletionTokens: CARD_TOKENS }, config);
  return { config, card, text, decisions: { name: "likelihood" }, backend: await tinyBackend("reference") };
}

/** Misspells a name as people do: wire case, a letter lost, doubled or swapped, a plural, another case. */
function misspell(name: string, dice: Dice): string {
  const at = 1 + dice.below(name.length - 2);
  const ways = [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    name.slice(0, at) + name.slice(at + 1),
    name.slice(0, at) + name[at] + name.slice(at),
    name.slice(0, at) + name[at + 1] + name[at] + name.slice(at + 2),
    name.endsWith("s") ? name.slice(0, -1) : `${name}s`,
    name.toUpperCase(),
    `_${name}`,
    `${name} `,
  ];
  return dice.of(ways);
}

interface Case {
  readonly options: Record<string, unknown>;
  /** Names of which the refusal must give one; empty where nothing is wrong. */
  readonly wrong: readonly string[];
  readonly expected: Expected;
}

function drawCase(specs: Readonly<Record<string, OptionSpec>>, dice: Dice, model: Model): Case {
  const { card } = model;
  const expected: Expected = { iterations: card.maxIterations, tokens: Infinity, maxBodyBytes: BIG_BODY_BYTES, origin: null };
  const options: Record<string, any> = {};
  const wrong: string[] = [];
  const set = (path: string, value: unknown): void => {
    const [first, second] = path.split(".") as [string, string?];
    if (second === undefined) options[first] = value;
    else (options[first] ??= {})[second] = value;
  };
  const mistakes = dice.of([0, 0, 1, 1, 1, 2]);
  const names = Object.keys(specs);
  const marked = new Set(Array.from({ length: mistakes }, () => dice.of(names)));
  for (const name of names) {
    const spec = specs[name]!;
    if (marked.has(name)) makeMistake(name, spec);
    else if (name === "model" ? dice.chance(0.8) : dice.chance(0.35)) set(name, spec.right(dice, expected));
    else if (dice.chance(0.2)) set(name, undefined);
  }
  if (!marked.has("model") && !marked.has("models") && options["model"] === undefined && options["models"] === undefined) {
    if (dice.chance(0.2)) wrong.push("model");
    else set("model", model);
  }
  return { options, wrong, expected };

  function makeMistake(name: string, spec: OptionSpec): void {
    const [parent, last] = [name.slice(0, name.lastIndexOf(".") + 1), name.slice(name.lastIndexOf(".") + 1)];
    const misspelt = parent + misspell(last, dice);
    if (dice.chance(0.4) && specs[misspelt] === undefined) {
      set(misspelt, spec.right(dice, { ...expected }));
      wrong.push(misspelt);
    } else if (dice.chance(0.15) && parent === "") {
      const get = (): never => {
        throw new Error("unreadable");
      };
      Object.defineProperty(options, name, { get, enumerable: true });
      wrong.push(name);
    } else {
      set(name, dice.of(spec.wrong));
      wrong.push(name);
    }
  }
}

/** The same options in another shape; getters that throw stay getters. */
function shaped(options: Record<string, unknown>, dice: Dice): object {
  const properties = Object.getOwnPropertyDescriptors(options);
  return dice.of<() => object>([
    () => options,
    () => Object.freeze(options),
    () => Object.create(null, properties) as object,
    () => Object.create(options) as object,
    () => new Proxy(options, {}),
    () => new Proxy(options, { ownKeys: (target) => Reflect.ownKeys(target).toReversed() }),
  ])();
}

export async function runOptions(model: Model, seed: number, run: number): Promise<OptionRun> {
  const dice = diceOf(seed, run);
  const { options, wrong, expected } = drawCase(optionSpecs(model), dice, model);
  let app: ReturnType<typeof createApp>;
  try {
    app = createApp(shaped(options, dice) as never);
  } catch (error) {
    const { message } = error as Error;
    const isNamed = error instanceof TypeError && wrong.some((name) => message.includes(name.trim()));
    return { kind: "refused", failures: isNamed ? [] : [`${wrong.join(", ") || "nothing"} is wrong, but it says: ${String(error)}`] };
  }
  if (wrong.length > 0) return { kind: "served", failures: [`${wrong.join(", ")} is wrong, and the app was made`] };
  return { kind: "served", failures: await probe(app, expected, dice) };
}

type App = ReturnType<typeof createApp>;

async function probe(app: App, expected: Expected, dice: Dice): Promise<string[]> {
  const failures: string[] = [];
  const must = (what: string, got: unknown, wanted: unknown): void => {
    if (got !== wanted) failures.push(`${what}: ${String(got)}, not ${String(wanted)}`);
  };
  const ask = (path: string, init: RequestInit = {}) => app.request(`http://localhost${path}`, init);
  const { keys, hosts } = expected;
  const refused = expected.verifierFails ? 500 : 401;

  must("without a key", (await ask("/v1/models")).status, keys === undefined ? 200 : 401);
  const wrongKey = await ask("/v1/models", { headers: { authorization: "Bearer wrong" } });
  must("with a wrong key", wrongKey.status, keys === undefined ? 200 : refused);
  must(
    "as another host",
    (await app.request("http://evil.test/v1/models", { headers: authorization(expected) })).status,
    statusForHost(expected),
  );
  const headers = { origin: ORIGIN, "access-control-request-method": "POST" };
  const isBlocked = hosts !== undefined && expected.origin === null;
  const preflight = await ask("/v1/completions", { method: "OPTIONS", headers });
  must("the origin let in", preflight.headers.get("access-control-allow-origin"), isBlocked ? null : expected.origin);
  await probeCompletion(ask, expected, dice, must);
  return failures;
}

function authorization({ keys }: Expected): Record<string, string> {
  return { authorization: `Bearer ${keys?.[0] ?? "any"}` };
}

function statusForHost({ hosts, verifierFails }: Expected): number {
  return hosts !== undefined ? 403 : verifierFails ? 500 : 200;
}

type Must = (what: string, got: unknown, wanted: unknown) => void;

async function probeCompletion(
  ask: (path: string, init?: RequestInit) => Response | Promise<Response>,
  expected: Expected,
  dice: Dice,
  must: Must,
): Promise<void> {
  const text = "1".repeat(1 + dice.below(4));
  const body = JSON.stringify({
    model: "tiny",
    prompt: text,
    max_tokens: ASKED.tokens,
    temperature: 0,
    budget: { iterations: ASKED.iterations, exit: { criterion: "none" } },
  });
  const key = dice.of([...(expected.keys ?? ["any"])]);
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await ask("/v1/completions", { method: "POST", headers, body });
  const fails = expected.verifierFails || expected.keyBudgetFails;
  const isLarge = body.length > expected.maxBodyBytes;
  const isEither = isLarge && expected.keyBudgetFails && response.status === 500; // a body of unknown length is read last
  const status = expected.verifierFails || isEither ? 500 : isLarge ? 413 : fails ? 500 : 200;
  must("a completion", response.status, status);
  const answer = (await response.json()) as any;
  if (response.status !== 200 || status !== 200) return must("observers of a refused request", expected.told?.() ?? 0, 0);
  const { iterations = Infinity, tokens = Infinity } = expected.keyBudget ?? {};
  const granted = answer.budget.granted;
  must("iterations granted", granted.iterations, Math.min(ASKED.iterations, expected.iterations, iterations));
  must("tokens granted", granted.max_completion_tokens, Math.min(ASKED.tokens, expected.tokens, tokens));
  must("iterations within the grant", answer.usage.iterations.max <= granted.iterations, true);
  must("tokens within the grant", answer.usage.completion_tokens <= granted.max_completion_tokens, true);
  if (expected.told !== undefined) must("observers told", expected.told(), 1);
}

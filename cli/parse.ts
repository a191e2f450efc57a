/**
 * Reads the arguments of one command against its declaration, strictly: an option that is not declared, a missing or
 * empty value, an option given twice and a surplus word are errors that name what was probably meant. Values stay text
 * here; arguments.ts makes numbers and lists of them.
 *
 * An option declared with `repeats: true` may be given several times, and is a list.
 *
 * An argument is an option when it begins with "-" and a letter, or "--" and a letter; "-5 + 8 = ?", "- Ada lies." and
 * everything after "--" are text.
 */
import type { ArgDef, ArgsDef, ParsedArgs } from "citty";
import { FathomError } from "../engine/errors.ts";
import { nearest } from "../engine/nearest.ts";

/**
 * @param command what the user typed to get here, "fathom ask" say, for messages
 * @throws {FathomError} invalid_request, naming the option or word at fault
 * @example parseArguments("fathom ask", { model: { type: "string" } }, ["--model", "nano"]) // { model: "nano" }
 */
export function parseArguments<T extends ArgsDef>(command: string, declared: T, argv: readonly string[]): ParsedArgs<T> {
  const values: Record<string, string | boolean | string[]> = {};
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (argument === "--") {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!isOption(argument)) {
      words.push(argument);
      continue;
    }
    const { name, value, takesNext } = readOption(command, declared, argument, argv[i + 1]);
    if (takesNext) i++;
    const before = Object.hasOwn(values, name) ? values[name] : undefined;
    if (isRepeatable(declared[name])) values[name] = [...((before as string[] | undefined) ?? []), value as string];
    else if (before === undefined) values[name] = value;
    else throw wrong(`--${name} is given twice; give it once.`, `--${name}`);
  }
  const placed = placeWords(command, declared, words);
  checkRequired(declared, values);
  return { ...defaultsOf(declared), ...values, ...placed } as ParsedArgs<T>;
}

function checkRequired(declared: ArgsDef, values: Readonly<Record<string, unknown>>): void {
  for (const name of optionsOf(declared)) {
    const { required, description = "" } = declared[name]!;
    if (required === true && !Object.hasOwn(values, name)) throw wrong(`--${name} is missing: ${description}.`, `--${name}`);
  }
}

function isRepeatable(option: ArgDef | undefined): boolean {
  return (option as { repeats?: boolean } | undefined)?.repeats === true;
}

/** Whether an argument has the form of an option; text may begin with "-" where a letter does not follow, or where it has blanks. */
export function isOption(argument: string): boolean {
  return /^--[a-z]/i.test(argument) || /^-[a-z][^\s]*$/i.test(argument);
}

function readOption(
  command: string,
  declared: ArgsDef,
  argument: string,
  next: string | undefined,
): { name: string; value: string | boolean; takesNext: boolean } {
  const [flag, inline] = splitOnce(argument, "=");
  const name = flag.slice(2);
  const negated = flag.startsWith("--no-") && optionOf(declared, name) === undefined ? name.slice(3) : undefined;
  const option = flag.startsWith("--") ? optionOf(declared, negated ?? name) : undefined;
  if (option === undefined || (negated !== undefined && option.type !== "boolean")) throw unknownOption(command, declared, argument, flag);
  if (option.type === "boolean") return { name: negated ?? name, value: readSwitch(flag, inline, negated !== undefined), takesNext: false };
  const value = inline ?? next;
  if (value === undefined || value === "" || (inline === undefined && (value === "--" || isOption(value))))
    throw wrong(`${flag} needs a value${option.description === undefined ? "" : `: ${option.description}`}.`, flag);
  return { name, value, takesNext: inline === undefined };
}

/** `--json`, `--json=false`, `--no-json` */
function readSwitch(flag: string, inline: string | undefined, isNegated: boolean): boolean {
  if (inline === undefined) return !isNegated;
  if (isNegated || !["true", "false"].includes(inline))
    throw wrong(`${flag} takes no value, but was given ${JSON.stringify(inline)}.`, flag);
  return inline === "true";
}

function placeWords(command: string, declared: ArgsDef, words: readonly string[]): Record<string, string> {
  const places = Object.entries(declared).filter(([, { type }]) => type === "positional");
  const [surplus] = words.slice(places.length);
  if (surplus !== undefined) throw surplusWord(command, places, words);
  const placed: Record<string, string> = {};
  for (const [i, [name, { required, default: fallback }]] of places.entries()) {
    const word = words[i];
    if (word !== undefined) placed[name] = word;
    else if (required !== false && fallback === undefined) throw wrong(`${name.toUpperCase()} is missing; see ${command} --help.`, name);
  }
  return placed;
}

function surplusWord(command: string, places: readonly [string, ArgDef][], words: readonly string[]): FathomError {
  const surplus = JSON.stringify(words[places.length]);
  if (places.length === 0) return wrong(`${surplus} is one word too many: ${command} takes options only; see ${command} --help.`);
  const names = places.map(([name]) => name.toUpperCase()).join(" ");
  const hint = places.length === 1 ? ` Put the ${places[0]![0]} in quotes: ${command} ${JSON.stringify(words.join(" "))}` : "";
  return wrong(`${surplus} is one word too many: ${command} takes ${names}.${hint}`, places.at(-1)![0]);
}

function unknownOption(command: string, declared: ArgsDef, argument: string, flag: string): FathomError {
  const options = [...optionsOf(declared), "help", "version"];
  const negations = Object.keys(declared).filter((name) => declared[name]!.type === "boolean");
  const near = nearest(flag, flag.startsWith("--no-") ? [...options, ...negations.map((name) => `no-${name}`)] : options);
  const advice = near === undefined ? `Options of ${command}: ${options.map((o) => `--${o}`).join(", ")}.` : `Did you mean --${near}?`;
  const takesText = Object.values(declared).some(({ type }) => type === "positional");
  const hint = takesText && (/\s/.test(argument) || !flag.startsWith("--")) ? ' Text that begins with "-" goes last, after --.' : "";
  return wrong(`There is no option ${flag}. ${advice}${hint}`, flag);
}

function optionOf(declared: ArgsDef, name: string): ArgDef | undefined {
  const option = Object.hasOwn(declared, name) ? declared[name] : undefined;
  return option?.type === "positional" ? undefined : option;
}

function optionsOf(declared: ArgsDef): string[] {
  return Object.keys(declared).filter((name) => declared[name]!.type !== "positional");
}

function defaultsOf(declared: ArgsDef): Record<string, unknown> {
  return Object.fromEntries(Object.entries(declared).map(([name, { default: value }]) => [name, value]));
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function wrong(message: string, param?: string): FathomError {
  return new FathomError("invalid_request", message, param);
}

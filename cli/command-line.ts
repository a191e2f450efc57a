/**
 * Reads what the user typed: a help page, the version, or a command with its arguments is to follow. Nothing runs
 * here, so that a test can ask what a command line means.
 */
import { readFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { renderUsage } from "citty";
import { FathomError } from "../engine/errors.ts";
import type { Command } from "./command.ts";
import { nearest } from "../engine/nearest.ts";
import { isOption, parseArguments } from "./parse.ts";

export type Request =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "run"; readonly name: string; readonly command: Command; readonly args: Record<string, unknown> };

const HELP = ["-h", "--help"];
const VERSION = ["-v", "--version"];
const EVERYWHERE = `${HELP.join(", ")}: this page; ${VERSION.join(", ")}: the version.`;

/**
 * @param main the command that holds all others
 * @param argv what follows `fathom`
 * @throws {FathomError} invalid_request, with what was probably meant
 * @example await readCommandLine(fathomCommand, ["ask", "--iterations", "8", "Who lies?"])
 */
export async function readCommandLine(main: Command, argv: readonly string[]): Promise<Request> {
  const flags = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const isHelpCommand = argv[0] === "help";
  if (!isHelpCommand && flags.some((a) => VERSION.includes(a))) return { kind: "print", text: await readVersion() };
  const wantsHelp = argv.length === 0 || isHelpCommand || flags.some((a) => HELP.includes(a));
  const words = isHelpCommand ? argv.slice(1) : argv;
  const { path, command, rest } = await findCommand(main, wantsHelp ? words.filter((a) => !HELP.includes(a)) : words, wantsHelp);
  if (wantsHelp) return { kind: "print", text: await helpPage(path, command) };
  const name = path.join(" ");
  return { kind: "run", name, command, args: parseArguments(name, (await command.args) ?? {}, rest) };
}

interface Found {
  readonly path: readonly string[];
  readonly command: Command;
  readonly rest: readonly string[];
}

/** Follows command names as deep as they go. */
async function findCommand(main: Command, argv: readonly string[], mayStopEarly: boolean): Promise<Found> {
  let [path, command, rest]: [string[], Command, readonly string[]] = [[((await main.meta) as { name: string }).name], main, argv];
  for (;;) {
    const inner = innerCommands(command);
    if (inner === undefined) return { path, command, rest };
    const [name, ...after] = rest;
    if (name === undefined || (mayStopEarly && isOption(name))) {
      if (mayStopEarly) return { path, command, rest };
      throw wrong(`${path.join(" ")} needs a command: ${Object.keys(inner).join(", ")}.`);
    }
    if (!Object.hasOwn(inner, name)) throw unknownCommand(path, Object.keys(inner), name);
    [path, command, rest] = [[...path, name], await load(inner[name]!), after];
  }
}

type Lazy = Command | (() => Promise<Command>);

function innerCommands(command: Command): Readonly<Record<string, Lazy>> | undefined {
  return command.subCommands as Record<string, Lazy> | undefined;
}

async function load(command: Lazy): Promise<Command> {
  return typeof command === "function" ? command() : command;
}

function unknownCommand(path: readonly string[], known: readonly string[], name: string): FathomError {
  const typed = path.join(" ");
  if (isOption(name)) {
    const near = nearest(name, ["help", "version"]);
    const hint = near === undefined ? `Options follow the command: ${typed} ${known.join("|")} ${name} ...` : `Did you mean --${near}?`;
    return wrong(`${typed} has no option ${name.split("=")[0]}. ${hint}`, name);
  }
  const near = nearest(name, known);
  const hint = near === undefined ? `Commands: ${known.join(", ")}.` : `Did you mean ${typed} ${near}?`;
  return wrong(`There is no command ${typed} ${name}. ${hint}`, name);
}

async function helpPage(path: readonly string[], command: Command): Promise<string> {
  const parent = { meta: { name: path.slice(0, -1).join(" ") } };
  const page = await renderUsage(command, path.length > 1 ? parent : undefined);
  const examples = command.examples === undefined ? [] : ["", "EXAMPLES", "", ...command.examples.map((line) => `  ${line}`)];
  const text = [page.trimEnd(), ...examples, "", EVERYWHERE].join("\n");
  return wantsColour() ? text : stripVTControlCharacters(text).replaceAll(/[ \t]+$/gm, "");
}

/** Whether output goes to a terminal that has colours, unless NO_COLOR says otherwise (no-color.org). */
function wantsColour(): boolean {
  return process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.stdout.hasColors();
}

/** package.json is beside cli/, or beside dist/ where the code was compiled. */
async function readVersion(): Promise<string> {
  for (const path of ["../package.json", "../../package.json"]) {
    const text = await readFile(new URL(path, import.meta.url), "utf8").catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { version: string }).version;
  }
  throw new FathomError("unavailable", "package.json is missing from this installation; install fathom-edge again.");
}

function wrong(message: string, param?: string): FathomError {
  return new FathomError("invalid_request", message, param);
}

/**
 * The `fathom` command. Each subcommand is a file of its own; here is only how they are found and how errors end.
 */
import { defineCommand, runCommand, showUsage } from "citty";
import { FathomError } from "../engine/errors.ts";
import { askCommand } from "./ask.ts";
import { benchCommand } from "./bench.ts";
import { convertCommand } from "./convert.ts";
import { evalCommand } from "./eval.ts";
import { traceCommand } from "./trace.ts";

const subCommands = { ask: askCommand, convert: convertCommand, eval: evalCommand, trace: traceCommand, bench: benchCommand };

const main = defineCommand({
  meta: { name: "fathom", description: "Recurrent-depth language models with a compute budget" },
  subCommands,
});

/** Exit status of a wrong call, as is the custom of command lines. */
const USAGE_ERROR = 2;

const [name, ...rest] = process.argv.slice(2);
const command = Object.entries(subCommands).find(([key]) => key === name)?.[1];
try {
  if (command === undefined || rest.includes("--help")) {
    await showUsage((command ?? main) as typeof main, command === undefined ? undefined : main);
    process.exitCode = name === undefined || name === "--help" || command !== undefined ? 0 : USAGE_ERROR;
  } else await runCommand(main, { rawArgs: process.argv.slice(2) });
} catch (error) {
  const known = error instanceof FathomError || (error as { name?: string }).name === "CLIError";
  console.error(known ? `fathom ${name}: ${(error as Error).message}` : error);
  process.exitCode = known ? USAGE_ERROR : 1;
}

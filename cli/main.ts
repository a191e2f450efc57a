/**
 * The `fathom` command. Each subcommand is a file of its own, loaded when it is asked for; here is only how they are
 * found and how errors end.
 */
import { defineCommand, runCommand, showUsage, type CommandDef } from "citty";
import { FathomError } from "../engine/errors.ts";

const subCommands: Record<string, () => Promise<CommandDef<any>>> = {
  ask: async () => (await import("./ask.ts")).askCommand,
  serve: async () => (await import("./serve.ts")).serveCommand,
  trace: async () => (await import("./trace.ts")).traceCommand,
  eval: async () => (await import("./eval.ts")).evalCommand,
  convert: async () => (await import("./convert.ts")).convertCommand,
  export: async () => (await import("./export.ts")).exportCommand,
  calibrate: async () => (await import("./calibrate.ts")).calibrateCommand,
  bench: async () => (await import("./bench.ts")).benchCommand,
};

const main = defineCommand({
  meta: { name: "fathom", description: "Recurrent-depth language models with a compute budget" },
  subCommands,
});

/** Exit status of a wrong call, as is the custom of command lines. */
const USAGE_ERROR = 2;

const rawArgs = process.argv.slice(2);
const [name, ...rest] = rawArgs;
const load = name === undefined || !Object.hasOwn(subCommands, name) ? undefined : subCommands[name];
try {
  if (load === undefined) {
    await showUsage(main);
    process.exitCode = name === undefined || name === "--help" ? 0 : USAGE_ERROR;
  } else if (rest.includes("--help")) await showUsage(await load(), main);
  else await runCommand(main, { rawArgs });
} catch (error) {
  const known = error instanceof FathomError || (error as { name?: string }).name === "CLIError";
  console.error(known ? `fathom ${name}: ${(error as Error).message}` : error);
  process.exitCode = known ? USAGE_ERROR : 1;
}

/**
 * Runs the `fathom` command: does what the command line asks for, and ends every error in one line on standard error.
 * Exit status: 0 done, 1 failed, 2 called wrongly. FATHOM_DEBUG=1 shows the stack of an unexpected error.
 */
import type { Command } from "./command.ts";
import { readCommandLine } from "./command-line.ts";
import { exitStatus, explain } from "./explain.ts";

/** @param argv words after the command's own name */
export async function runCommandLine(fathom: Command, argv: readonly string[]): Promise<void> {
  let name = "fathom";
  const fail = (error: unknown): void => {
    process.exitCode = exitStatus(error);
    console.error(explain(name, error));
  };
  process.on("uncaughtException", (error) => {
    fail(error);
    process.exit();
  });
  // a reader that has seen enough, as `fathom trace ... | head` has
  process.stdout.on("error", (error: { code?: string }) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });

  try {
    const request = await readCommandLine(fathom, argv);
    if (request.kind === "print") console.log(request.text);
    else {
      name = request.name;
      await request.command.run?.({ args: request.args as never, rawArgs: [...argv], cmd: request.command });
    }
  } catch (error) {
    fail(error);
  }
}

/**
 * Entry of the `fathom` command: does what the command line asks for, and ends every error in one line on standard error.
 * Exit status: 0 done, 1 failed, 2 called wrongly. FATHOM_DEBUG=1 shows the stack of an unexpected error.
 */
import { readCommandLine } from "./command-line.ts";
import { exitStatus, explain } from "./explain.ts";
import { fathomCommand } from "./fathom.ts";

let name = "fathom";
function fail(error: unknown): void {
  process.exitCode = exitStatus(error);
  console.error(explain(name, error));
}
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
  const request = await readCommandLine(fathomCommand, process.argv.slice(2));
  if (request.kind === "print") console.log(request.text);
  else {
    name = request.name;
    await request.command.run?.({ args: request.args as never, rawArgs: process.argv.slice(2), cmd: request.command });
  }
} catch (error) {
  fail(error);
}

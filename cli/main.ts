/**
 * Entry of the packaged `fathom` command. In a checkout bench/main.ts takes its place, which can measure, too.
 */
import { fathomCommand } from "./fathom.ts";
import { runCommandLine } from "./run.ts";

await runCommandLine(fathomCommand(), process.argv.slice(2));

/**
 * Entry of the `fathom` command in a checkout.
 */
import { runCommandLine } from "../cli/run.ts";
import { checkoutCommand } from "./fathom.ts";

await runCommandLine(checkoutCommand, process.argv.slice(2));

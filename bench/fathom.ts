/**
 * The `fathom` command of a checkout: the package's, with benches.
 */
import { fathomCommand } from "../cli/fathom.ts";

export const checkoutCommand = fathomCommand(async () => (await import("./commands/index.ts")).benchCommand);

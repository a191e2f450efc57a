/**
 * fathom bench: measurements that docs and claims rest on. Each is a file of bench/; here only their options.
 */
import { benchBudgetCommand } from "./bench-budget.ts";
import { benchDecodeCommand, benchKernelsCommand } from "./bench-core.ts";
import { benchExitsCommand } from "./bench-exits.ts";
import { benchCacheCommand, benchWaysCommand } from "./bench-model.ts";
import { defineCommand } from "./command.ts";

export const benchCommand = defineCommand({
  meta: { name: "bench", description: "Measure kernels, decoding, budgets and exit rules" },
  subCommands: {
    kernels: benchKernelsCommand,
    decode: benchDecodeCommand,
    ways: benchWaysCommand,
    cache: benchCacheCommand,
    exits: benchExitsCommand,
    budget: benchBudgetCommand,
  },
});

/**
 * fathom bench: measurements that docs and claims rest on. Each is a file of bench/; here only their options.
 */
import { defineCommand } from "citty";
import { benchBudgetCommand } from "./bench-budget.ts";
import { benchExitsCommand } from "./bench-exits.ts";
import { benchCacheCommand, benchWaysCommand } from "./bench-model.ts";

export const benchCommand = defineCommand({
  meta: { name: "bench", description: "Measure kernels, decoding, budgets and exit rules" },
  subCommands: { budget: benchBudgetCommand, exits: benchExitsCommand, cache: benchCacheCommand, ways: benchWaysCommand },
});

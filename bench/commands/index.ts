/**
 * fathom bench: measurements that docs and claims rest on. Each is a file of bench/; here only their options.
 */
import { benchBudgetCommand } from "./budget.ts";
import { benchContrastCommand } from "./contrast.ts";
import { benchDecodeCommand, benchKernelsCommand } from "./core.ts";
import { benchDecideCommand } from "./decide.ts";
import { benchExitsCommand } from "./exits.ts";
import { benchFamilyCommand } from "./family.ts";
import { benchConvertCommand, benchLoadingCommand } from "./folder.ts";
import { benchLoadCommand } from "./load.ts";
import { benchMemoryCommand } from "./memory.ts";
import { benchCacheCommand, benchWaysCommand } from "./model.ts";
import { defineCommand } from "../../cli/command.ts";

export const benchCommand = defineCommand({
  meta: {
    name: "bench",
    description:
      "Measure kernels, decoding, decisions, budgets, exit rules, readouts, loading, converting, memory and models of the published sizes",
  },
  subCommands: {
    kernels: benchKernelsCommand,
    decode: benchDecodeCommand,
    decide: benchDecideCommand,
    ways: benchWaysCommand,
    cache: benchCacheCommand,
    exits: benchExitsCommand,
    contrast: benchContrastCommand,
    budget: benchBudgetCommand,
    load: benchLoadCommand,
    loading: benchLoadingCommand,
    convert: benchConvertCommand,
    family: benchFamilyCommand,
    memory: benchMemoryCommand,
  },
});

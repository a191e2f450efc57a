/**
 * The `fathom` command's table of contents: each command is a file of its own, loaded when it is asked for.
 */
import { defineCommand, type Command } from "./command.ts";

/** @param bench the command that measures; a checkout has one, the package has nothing to measure with [default none] */
export function fathomCommand(bench?: () => Promise<Command>): Command {
  return defineCommand({
    meta: { name: "fathom", description: "Recurrent-depth language models with a compute budget" },
    examples: ['fathom ask "Ada lies. Bo says Ada lies. Does Bo tell the truth?"', "fathom serve --playground", "fathom help decide"],
    subCommands: {
      ask: async () => (await import("./ask.ts")).askCommand,
      serve: async () => (await import("./serve.ts")).serveCommand,
      decide: async () => (await import("./decide.ts")).decideCommand,
      embed: async () => (await import("./embed.ts")).embedCommand,
      train: async () => (await import("./train.ts")).trainCommand,
      trace: async () => (await import("./trace.ts")).traceCommand,
      eval: async () => (await import("./eval.ts")).evalCommand,
      convert: async () => (await import("./convert.ts")).convertCommand,
      verify: async () => (await import("./verify.ts")).verifyCommand,
      export: async () => (await import("./export.ts")).exportCommand,
      init: async () => (await import("./init.ts")).initCommand,
      deploy: async () => (await import("./deploy.ts")).deployCommand,
      plan: async () => (await import("./plan.ts")).planCommand,
      calibrate: async () => (await import("./calibrate.ts")).calibrateCommand,
      ...(bench && { bench }),
    },
  });
}

/**
 * fathom bench decide: options and output of bench/decide.ts, which is loaded when asked for: it starts a local Workers
 * runtime, a development dependency.
 */
import { wholeNumber } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { withReports } from "../../cli/progress.ts";
import { decideCases } from "../decide-model.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

export const benchDecideCommand = defineCommand({
  meta: { name: "decide", description: "Decisions a second and their latency on a 7.5 M weight model, in Node and in workerd" },
  examples: ["fathom bench decide --runs 10 --no-peers --json", "fathom bench decide --no-sized --runs 200"],
  args: {
    runs: { type: "string", default: "50", description: "most runs of each case" },
    seconds: { type: "string", default: "2", description: "time after which a case ends that has had three runs" },
    workerd: { type: "boolean", default: true, description: "measure inside workerd, too, and the shipped model there" },
    sized: { type: "boolean", default: true, description: "measure a random model at many sizes; else the shipped one alone" },
    peers: { type: "boolean", default: true, description: "and an encoder of the same size in onnxruntime-web, one pass a decision" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const { benchDecide, decideTable } = await import("../decide.ts");
    const options = {
      runs: wholeNumber("--runs", args.runs, 3, 1e6),
      limitMs: wholeNumber("--seconds", args.seconds, 0, 3600) * 1000,
      cases: args.sized ? decideCases() : [],
      workerd: args.workerd,
      peers: args.peers && args.sized,
    };
    await runBench(
      "decide",
      args,
      () => withReports("cases", (onProgress) => benchDecide({ ...options, onProgress })),
      (result) => console.log(decideTable(result)),
    );
  },
});

/**
 * fathom plan: what a load on Workers needs and costs with a model, before anything is deployed. The model of it is in
 * plan/, its sources in docs/planning.md.
 */
import { checkedFolder } from "../engine/model/file-list.ts";
import { readCard } from "../engine/model/card.ts";
import { readConfig } from "../engine/model/folder.ts";
import { wholeNumber, positiveNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { diskFolder } from "./files.ts";
import { DEFAULT_MODEL, modelPath } from "./models.ts";
import { measuredIterations } from "./plan/demand.ts";
import { measureFootprint } from "./plan/measure.ts";
import { planLines, planLoad } from "./plan/plan.ts";

/** Exit status where the load does not fit. */
const DOES_NOT_FIT = 1;

export const planCommand = defineCommand({
  meta: { name: "plan", description: "What a load on Workers needs and costs: isolates, CPU, dollars a month, and where it stops fitting" },
  examples: ["fathom plan --rps 50 --latency-ms 100", "fathom plan --rps 5 --latency-ms 500 --model ./my-model --prompt-tokens 200 --json"],
  args: {
    rps: { type: "string", required: true, description: "requests a second, on average" },
    "latency-ms": {
      type: "string",
      required: true,
      description: "milliseconds in which 95 % of requests are to be answered, network apart",
    },
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    "peak-rps": { type: "string", description: "requests a second at the busiest time [--rps]" },
    "prompt-tokens": { type: "string", default: "40", description: "tokens of a prompt" },
    "max-tokens": { type: "string", default: "2", description: "tokens of an answer" },
    iterations: {
      type: "string",
      description: "core iterations a token, for usual and hard requests alike [as the card measured, with its exit rule]",
    },
    "cpu-factor": { type: "string", default: "1", description: "how many times as long as on the calibrated host a Worker takes" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const rps = positiveNumber("--rps", args.rps);
    const latencyMs = positiveNumber("--latency-ms", args["latency-ms"]);
    const peakRps = args["peak-rps"] === undefined ? rps : positiveNumber("--peak-rps", args["peak-rps"], rps);
    const cpuFactor = positiveNumber("--cpu-factor", args["cpu-factor"]);
    const folder = await checkedFolder(diskFolder(modelPath(args.model)));
    const config = await readConfig(folder);
    const card = await readCard(folder, config);
    const completionTokens = wholeNumber("--max-tokens", args["max-tokens"], 1, config.contextLength);
    const promptTokens = wholeNumber("--prompt-tokens", args["prompt-tokens"], 1, config.contextLength - completionTokens + 1);
    const given = args.iterations === undefined ? undefined : wholeNumber("--iterations", args.iterations, 1, card.maxIterations);
    const depth = given === undefined ? measuredIterations(card) : { iterations: given, hardIterations: given };
    const footprint = await measureFootprint(args.model, promptTokens + completionTokens);
    const input = { card, config, footprint, rps, peakRps, latencyMs, cpuFactor, promptTokens, completionTokens, ...depth };
    const plan = planLoad(input);
    console.log(args.json ? JSON.stringify(plan) : planLines(plan, input).join("\n"));
    if (plan.objections.length > 0) process.exitCode = DOES_NOT_FIT;
  },
});

/**
 * fathom bench kernels, fathom bench decode: options and output of bench/kernels.ts and bench/decode.ts. Their modules
 * are loaded when asked for: decode starts a local Workers runtime, a development dependency.
 */
import { defineCommand } from "citty";
import { wholeNumber, wholeNumbers } from "./arguments.ts";

export const benchKernelsCommand = defineCommand({
  meta: { name: "kernels", description: "Every Wasm kernel beside the ceiling loop of the same rounds" },
  args: {
    rounds: { type: "string", default: "15", description: "interleaved rounds; medians are shown" },
    only: { type: "string", default: "", description: "only kernels whose name or shape holds this text" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const { benchKernels, kernelTable } = await import("../bench/kernels.ts");
    const rows = await benchKernels(wholeNumber("--rounds", args.rounds, 1, 1000), args.only);
    console.log(args.json ? JSON.stringify({ rows }) : kernelTable(rows));
  },
});

export const benchDecodeCommand = defineCommand({
  meta: { name: "decode", description: "Prompt and decode speed of a 25.7 M weight model, in Node and in workerd" },
  args: {
    rounds: { type: "string", default: "5", description: "interleaved rounds; medians are shown" },
    iterations: { type: "string", default: "1,4,8,16,32", description: "core iterations, comma-separated" },
    workerd: { type: "boolean", default: true, description: "measure inside workerd, too" },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const { benchDecode, decodeTable } = await import("../bench/decode.ts");
    const { rows, fits } = await benchDecode({
      rounds: wholeNumber("--rounds", args.rounds, 1, 1000),
      iterations: wholeNumbers("--iterations", args.iterations, 1, 1024),
      workerd: args.workerd,
    });
    console.log(args.json ? JSON.stringify({ rows, fits }) : decodeTable(rows, fits));
  },
});

/**
 * fathom bench memory: options and output of bench/memory.ts.
 */
import type { MemoryHost, MemoryRow } from "../memory.ts";
import { choice, list, wholeNumber } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

const HOSTS = ["workerd", "node"] as const;

export const benchMemoryCommand = defineCommand({
  meta: { name: "memory", description: "Resident memory of local workerd and fathom serve before, during and after bursts" },
  examples: ["fathom bench memory --hosts workerd --requests 2000 --at-once 128"],
  args: {
    hosts: { type: "string", default: "workerd,node", description: `servers, comma-separated: ${HOSTS.join(", ")}` },
    requests: { type: "string", default: "400", description: "requests of a burst" },
    "at-once": { type: "string", default: "64", description: "requests in flight" },
    bursts: { type: "string", default: "2", description: "bursts, one after the other: a leak grows from one to the next" },
    idle: { type: "string", default: "30", description: "seconds of idle time before the last reading" },
    heap: { type: "string", description: "on Node, most MiB of V8's old generation: what survives there has no leak" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const { benchMemory } = await import("../memory.ts");
    const hosts = list("--hosts", args.hosts).map((host) => choice("--hosts", host, HOSTS));
    const options = {
      requests: wholeNumber("--requests", args.requests, 1, 1e6),
      atOnce: wholeNumber("--at-once", args["at-once"], 1, 1024),
      bursts: wholeNumber("--bursts", args.bursts, 1, 100),
      idleMs: 1000 * wholeNumber("--idle", args.idle, 0, 3600),
      heapMiB: args.heap === undefined ? undefined : wholeNumber("--heap", args.heap, 16, 65536),
    };
    const measure = async (): Promise<{ rows: MemoryRow[] }> => ({
      rows: await withProgress(hosts.length * options.bursts * options.requests, "answers", async (step) => {
        const rows: MemoryRow[] = [];
        for (const host of hosts) rows.push(await benchMemory(host satisfies MemoryHost, options, step));
        return rows;
      }),
    });
    await runBench("memory", args, measure, ({ rows }) => rows.forEach((row) => console.log(memoryLine(row))));
  },
});

function memoryLine({ host, beforeMiB, peakMiB, idleMiB, usedBytes, mostBytes, medianMs, statuses }: MemoryRow): string {
  const answers = Object.entries(statuses).map(([status, count]) => `${count} x ${status}`);
  return (
    `${host.padEnd(8)} ${beforeMiB} MiB, at the bursts' peaks ${peakMiB.join(", ")} MiB, idle ${idleMiB} MiB; ` +
    `Wasm core ${usedBytes.join(" -> ")} bytes, at most ${mostBytes}; ${answers.join(", ")}, median ${medianMs.toFixed(0)} ms`
  );
}

/**
 * fathom bench load: options and output of bench/load.ts.
 */
import { loadavg } from "node:os";
import type { LoadRow } from "../load.ts";
import { choice, list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

const HOSTS = ["workerd", "node"] as const;

/** The command `fathom bench load`. */
export const benchLoadCommand = defineCommand({
  meta: { name: "load", description: "Deadlines, refusals and right answers of local workerd and fathom serve under many callers" },
  examples: ["fathom bench load --hosts node --callers 1,8,32 --seconds 10"],
  args: {
    hosts: { type: "string", default: "workerd,node", description: `servers, comma-separated: ${HOSTS.join(", ")}` },
    callers: { type: "string", default: "1,8,32,128", description: "callers at once, comma-separated" },
    seconds: { type: "string", default: "45", description: "seconds for each number of callers" },
    seed: { type: "string", default: "1", description: "of questions, deadlines and kinds of requests" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const { benchLoad } = await import("../load.ts");
    const hosts = list("--hosts", args.hosts).map((host) => choice("--hosts", host, HOSTS));
    const options = {
      callers: wholeNumbers("--callers", args.callers, 1, 1024),
      seconds: wholeNumber("--seconds", args.seconds, 1, 3600),
      seed: wholeNumber("--seed", args.seed, 0, 1e9),
    };
    const measure = (): Promise<{ rows: LoadRow[]; load: number }> =>
      withProgress(hosts.length * options.callers.length, "rows", async (step) => {
        const [load, rows] = [loadavg()[0]!, [] as LoadRow[]];
        for (const host of hosts) rows.push(...(await benchLoad(host, options, step)));
        return { rows, load };
      });
    await runBench("load", args, measure, ({ rows, load }) => {
      console.log(`${load.toFixed(1)} runnable processes before the run`);
      rows.forEach((row) => console.log(loadLine(row)));
    });
  },
});

function loadLine({ host, callers, requests, dated, failed, answered, right, p50Ms, p95Ms, ...row }: LoadRow): string {
  const share = (part: number, of: number): string => (of === 0 ? "none" : `${((100 * part) / of).toFixed(1)} %`);
  return (
    `${host.padEnd(8)}${String(callers).padStart(4)} callers, ${requests} requests: late by own account ${share(row.lateByOwnAccount, dated)}, ` +
    `by the client ${share(row.lateByClient, dated)} of ${dated} with a deadline; ${row.refused} refused, late ${share(row.refusedLate, row.refused)}; ` +
    `right ${share(right.dated, answered.dated)} with a deadline, ${share(right.free, answered.free)} without; ` +
    `p50 ${p50Ms.toFixed(0)} ms, p95 ${p95Ms.toFixed(0)} ms${Object.keys(failed).length > 0 ? `; failed ${JSON.stringify(failed)}` : ""}`
  );
}

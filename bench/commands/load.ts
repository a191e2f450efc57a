/**
 * fathom bench load: options and output of bench/load.ts.
 */
import { loadavg } from "node:os";
import type { LoadCases } from "../load-cases.ts";
import type { LoadRow } from "../load.ts";
import { choice, list, wholeNumber, wholeNumbers } from "../../cli/arguments.ts";
import { defineCommand } from "../../cli/command.ts";
import { withProgress } from "../../cli/progress.ts";
import { OUTPUT_ARGS, runBench } from "./output.ts";

const HOSTS = ["workerd", "node"] as const;
const PARTS = ["rows", "cases"] as const;

interface LoadResult {
  readonly rows: readonly LoadRow[];
  readonly cases: readonly LoadCases[];
  readonly load: number;
}

/** The command `fathom bench load`. */
export const benchLoadCommand = defineCommand({
  meta: { name: "load", description: "Deadlines, refusals and right answers of local workerd and fathom serve under many callers" },
  examples: ["fathom bench load --hosts node --callers 1,8,32 --seconds 10"],
  args: {
    hosts: { type: "string", default: "workerd,node", description: `servers, comma-separated: ${HOSTS.join(", ")}` },
    parts: { type: "string", default: "rows,cases", description: "numbers of callers, single situations, or both" },
    callers: { type: "string", default: "1,8,32,128", description: "callers at once, comma-separated" },
    seconds: { type: "string", default: "45", description: "seconds for each number of callers" },
    seed: { type: "string", default: "1", description: "of questions, deadlines and kinds of requests" },
    ...OUTPUT_ARGS,
  },
  async run({ args }) {
    const { benchLoad } = await import("../load.ts");
    const { benchLoadCases } = await import("../load-cases.ts");
    const hosts = list("--hosts", args.hosts).map((host) => choice("--hosts", host, HOSTS));
    const parts = list("--parts", args.parts).map((part) => choice("--parts", part, PARTS));
    const options = {
      callers: wholeNumbers("--callers", args.callers, 1, 1024),
      seconds: wholeNumber("--seconds", args.seconds, 1, 3600),
      seed: wholeNumber("--seed", args.seed, 0, 1e9),
    };
    const steps = hosts.length * ((parts.includes("rows") ? options.callers.length : 0) + (parts.includes("cases") ? 1 : 0));
    const measure = (): Promise<LoadResult> =>
      withProgress(steps, "rows", async (step) => {
        const [load, rows, cases] = [loadavg()[0]!, [] as LoadRow[], [] as LoadCases[]];
        for (const host of hosts) {
          if (parts.includes("rows")) rows.push(...(await benchLoad(host, options, step)));
          if (!parts.includes("cases")) continue;
          cases.push(await benchLoadCases(host));
          step();
        }
        return { rows, cases, load };
      });
    await runBench("load", args, measure, ({ rows, cases, load }) => {
      console.log(`${load.toFixed(1)} runnable processes before the run`);
      rows.forEach((row) => console.log(loadLine(row)));
      cases.forEach((row) => console.log(caseLines(row)));
    });
  },
});

function caseLines({ host, besideLong, atOnce, shares, large }: LoadCases): string {
  const named = (name: string, what: string): string => `${host.padEnd(8)}${name}: ${what}`;
  return [
    named("beside 4 callers of long prompts", `${besideLong.inTime} of ${besideLong.asked} in time, ${besideLong.right} right`),
    named(
      `${atOnce.asked} at once with 50 ms`,
      `${atOnce.admitted} admitted, ${atOnce.right} of them right, ${atOnce.late} late; one core could do ${atOnce.couldDo}`,
    ),
    ...shares.map(({ callers, p50Ms, mostMs }) =>
      named(`beside ${callers} callers of long prompts`, `p50 ${p50Ms.toFixed(0)} ms, at most ${mostMs.toFixed(0)} ms`),
    ),
    named(
      "a prompt of a megabyte",
      `${large.status} in p50 ${large.p50Ms.toFixed(1)} ms, p95 ${large.p95Ms.toFixed(1)} ms (a small refusal ${large.smallP50Ms.toFixed(1)} ms), ` +
        `a bare handler on this host ${large.bareP50Ms.toFixed(1)} ms (${large.bareSmallP50Ms.toFixed(1)} ms), cut off ${large.cutOff} and ${large.bareCutOff} of 200, ` +
        `${large.beforeMiB} MiB before and ${large.afterMiB} MiB after 200`,
    ),
  ].join("\n");
}

function loadLine({ host, callers, requests, dated, failed, answered, right, alone, p50Ms, p95Ms, ...row }: LoadRow): string {
  const share = (part: number, of: number): string => (of === 0 ? "none" : `${((100 * part) / of).toFixed(1)} %`);
  return (
    `${host.padEnd(8)}${String(callers).padStart(4)} callers, ${requests} requests: late by own account ${share(row.lateByOwnAccount, dated)}, ` +
    `by the client ${share(row.lateByClient, dated)} of ${dated} with a deadline; ${row.refused} refused, late ${share(row.refusedLate, row.refused)}; ` +
    `right ${share(right.dated, answered.dated)} with a deadline, ${share(right.free, answered.free)} without; ` +
    `alone ${share(alone.rightAlone, alone.compared)} right against ${share(alone.right, alone.compared)}, ${alone.same} of ${alone.compared} the same text, ` +
    `${alone.changed} changed though not cut; ` +
    `p50 ${p50Ms.toFixed(0)} ms, p95 ${p95Ms.toFixed(0)} ms; the client's own loop was held up ${row.clientDelayMs.toFixed(0)} ms at p99${Object.keys(failed).length > 0 ? `; failed ${JSON.stringify(failed)}` : ""}`
  );
}

/**
 * Progress of what takes longer than a moment, always on standard error: a bar on a terminal, elsewhere a line now and
 * then, so that a log of `--json > file` shows that something happens.
 */
import { SingleBar } from "cli-progress";

/** Nothing is shown for so long, then a bar, or a line every ten seconds. */
const FIRST_MS = 2_000;
const NEXT_LINE_MS = 10_000;

export interface ProgressOutput {
  readonly isTerminal: boolean;
  write(line: string): void;
  nowMs(): number;
}

const STDERR: ProgressOutput = { isTerminal: process.stderr.isTTY === true, write: console.error, nowMs: () => performance.now() };

/** Says that some more steps are done. [default 1] */
export type Step = (steps?: number) => void;

/** Says that so many steps of so many are done. */
export type Report = (done: number, total: number) => void;

/**
 * Runs work that itself knows how far it is, and shows it.
 * @param unit what is counted, in plural: "runs"
 */
export async function withReports<T>(unit: string, work: (report: Report) => Promise<T> | T, output: ProgressOutput = STDERR): Promise<T> {
  const show = output.isTerminal ? bar(unit, output) : lines(unit, output);
  try {
    return await work(show.report);
  } finally {
    show.stop();
  }
}

/**
 * Runs work whose steps are known beforehand, and shows how far it is. Lines are written as steps end, so work that never
 * leaves its thread shows them, too.
 * @param unit what is counted, in plural: "answers"
 * @example const rows = await withProgress(problems.length, "answers", (step) => scoreAll(problems, step));
 */
export async function withProgress<T>(
  total: number,
  unit: string,
  work: (step: Step) => Promise<T> | T,
  output: ProgressOutput = STDERR,
): Promise<T> {
  let done = 0;
  return withReports(unit, (report) => work((steps = 1) => report((done += steps), total)), output);
}

/** How fast work whose unit is megabytes goes, as it ends a line; empty for other units. */
function rateOf(unit: string, done: number, ms: number): string {
  return unit.startsWith("MB ") && ms > 0 ? `${Math.round((1000 * done) / ms)} MB/s` : "";
}

interface Shown {
  readonly report: Report;
  stop(): void;
}

function bar(unit: string, output: ProgressOutput): Shown {
  const shown = new SingleBar({
    format: `{bar} {percentage}% | {value}/{total} ${unit}{rate} | {eta_formatted} left`,
    clearOnComplete: true,
  });
  const startMs = output.nowMs();
  const report: Report = (done, total) => {
    if (!shown.isActive) {
      if (output.nowMs() - startMs < FIRST_MS || done >= total) return;
      shown.start(total, 0, { rate: "" });
    }
    shown.setTotal(total);
    const rate = rateOf(unit, done, output.nowMs() - startMs);
    shown.update(done, { rate: rate && ` | ${rate}` });
  };
  const stop = (): void => {
    if (shown.isActive) shown.stop(); // or it would wipe a line that is not its own
  };
  return { report, stop };
}

function lines(unit: string, output: ProgressOutput): Shown {
  const startMs = output.nowMs();
  let nextMs = startMs + FIRST_MS;
  const report: Report = (done, total) => {
    const ms = output.nowMs();
    if (ms < nextMs || done >= total) return;
    nextMs = ms + NEXT_LINE_MS;
    const leftSeconds = Math.ceil((((ms - startMs) / done) * (total - done)) / 1000);
    const rate = rateOf(unit, done, ms - startMs);
    output.write(`${done}/${total} ${unit}, ${Math.floor((100 * done) / total)} %${rate && `, ${rate}`}, about ${leftSeconds} s left`);
  };
  return { report, stop: () => {} };
}

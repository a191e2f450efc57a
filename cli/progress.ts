/**
 * Progress of what takes longer than a moment, always on standard error: a bar on a terminal, elsewhere a line now and
 * then, so that a log of `--json > file` shows that something happens.
 */
import { SingleBar } from "cli-progress";

/** Silent for so long, then a line every ten seconds. */
const FIRST_LINE_MS = 2_000;
const NEXT_LINE_MS = 10_000;

export interface ProgressOutput {
  readonly isTerminal: boolean;
  write(line: string): void;
  nowMs(): number;
}

const STDERR: ProgressOutput = { isTerminal: process.stderr.isTTY === true, write: console.error, nowMs: () => performance.now() };

/** Says that some more steps are done. [default 1] */
export type Step = (steps?: number) => void;

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
  const show = output.isTerminal ? startBar(total, unit) : startLines(total, unit, output);
  try {
    return await work(show.step);
  } finally {
    show.stop();
  }
}

interface Shown {
  step: Step;
  stop(): void;
}

function startBar(total: number, unit: string): Shown {
  const bar = new SingleBar({ format: `{bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left`, clearOnComplete: true });
  bar.start(total, 0);
  return { step: (steps = 1) => bar.increment(steps), stop: () => bar.stop() };
}

function startLines(total: number, unit: string, output: ProgressOutput): Shown {
  const startMs = output.nowMs();
  let nextMs = startMs + FIRST_LINE_MS;
  let done = 0;
  const step: Step = (steps = 1) => {
    done += steps;
    const ms = output.nowMs();
    if (ms < nextMs || done >= total) return;
    nextMs = ms + NEXT_LINE_MS;
    const leftSeconds = Math.ceil((((ms - startMs) / done) * (total - done)) / 1000);
    output.write(`${done}/${total} ${unit}, ${Math.floor((100 * done) / total)} %, about ${leftSeconds} s left`);
  };
  return { step, stop: () => {} };
}

/**
 * Measurements in a process of their own, which never outlives the one that asked for them, however that one ends.
 */
import { fork } from "node:child_process";
import { text } from "node:stream/consumers";

/** What a child says on its way: so many steps of so many are done. */
export interface ChildProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Runs a program of Node's and resolves to its standard output; what it writes on standard error is shown.
 * @throws {Error} when it fails
 */
export async function runChild(
  program: string,
  options: readonly string[],
  onProgress: (progress: ChildProgress) => void = () => {},
): Promise<string> {
  const child = fork(program, options, { stdio: ["ignore", "pipe", "inherit", "ipc"], execArgv: [] });
  const end = (): boolean => child.kill("SIGKILL");
  const onSignal = (signal: NodeJS.Signals): void => {
    end();
    process.kill(process.pid, signal); // now without this handler: the signal's own effect
  };
  process.once("exit", end);
  for (const signal of SIGNALS) process.once(signal, onSignal);
  child.on("message", (message) => onProgress(message as ChildProgress));
  try {
    const [output, status] = await Promise.all([
      text(child.stdout!),
      new Promise<number | null>((resolve, reject) => child.once("error", reject).once("exit", resolve)),
    ]);
    if (status !== 0) throw new Error(`${program} ended with status ${status}; see its messages above.`);
    return output;
  } finally {
    process.off("exit", end);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ends this child when its parent is gone, even where that was killed; noticed in tellProgress and between events. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(1));
}

/** Reports this child's progress to its parent, if there is one, and lets a disconnection be seen. */
export async function tellProgress(progress: ChildProgress): Promise<void> {
  process.send?.(progress, () => {}); // a parent that is gone is noticed by endWithParent
  await new Promise((resolve) => setImmediate(resolve));
}

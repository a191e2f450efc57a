/**
 * Timing of short jobs against each other: every round runs each job in turn, so that whatever else the machine does
 * falls on all of them alike. A round takes the fastest of a few slices, each shorter than a scheduler's time slice: one
 * that another process interrupts measures that process. Reported are medians over the rounds.
 */

export interface Job {
  readonly name: string;
  run(): void;
}

export interface TimingOptions {
  /** [default 15] */
  readonly rounds?: number;
  /** Slices of a job in a round. [default 6] */
  readonly slices?: number;
  /** Length of a slice in milliseconds; at least one call. [default 0.5] */
  readonly sliceMs?: number;
}

/** How long, or how often, every job runs before the first round, whichever ends first: engines optimise what runs. */
const WARM_UP = { ms: 300, calls: 40 } as const;

/** Median seconds of one call of each job, by name. */
export function timeJobs(jobs: readonly Job[], options: TimingOptions = {}): Map<string, number> {
  const { rounds = 15, slices = 6, sliceMs = 0.5 } = options;
  const calls = jobs.map((job) => {
    const start = performance.now();
    for (let i = 0; i < WARM_UP.calls && performance.now() - start < WARM_UP.ms; i++) job.run();
    const once = Math.min(...Array.from({ length: 5 }, () => millisecondsOf(job, 10)));
    return Math.max(1, Math.round(sliceMs / Math.max(once, 1e-5)));
  });
  const samples = jobs.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    jobs.forEach((job, j) => {
      job.run(); // what the last job left in the caches is not this job's fault
      let best = Infinity;
      for (let slice = 0; slice < slices; slice++) best = Math.min(best, millisecondsOf(job, calls[j]!));
      samples[j]!.push(best / 1000);
    });
  return new Map(jobs.map((job, j) => [job.name, median(samples[j]!)]));
}

/** Mean of a call over a run of them. */
function millisecondsOf(job: Job, calls: number): number {
  const start = performance.now();
  for (let i = 0; i < calls; i++) job.run();
  return (performance.now() - start) / calls;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that a share of all does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

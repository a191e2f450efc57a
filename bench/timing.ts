/**
 * Timing of short jobs against each other: every round runs each job once for about a sample's length, so that whatever
 * else the machine does falls on all of them alike. Reported are medians over the rounds, in CPU time of this thread:
 * on a machine with other work to do, wall time would count that, too.
 */

export interface Job {
  readonly name: string;
  run(): void;
}

export interface TimingOptions {
  /** [default 15] */
  readonly rounds?: number;
  /** Length of a sample in milliseconds. [default 3] */
  readonly sampleMs?: number;
  /** Calls of every job before the first round. [default 40] */
  readonly warmUpCalls?: number;
}

/** Median seconds of one call of each job, by name. */
export function timeJobs(jobs: readonly Job[], options: TimingOptions = {}): Map<string, number> {
  const { rounds = 15, sampleMs = 3, warmUpCalls = 40 } = options;
  const calls = jobs.map((job) => {
    const start = performance.now();
    for (let i = 0; i < warmUpCalls && performance.now() - start < 300; i++) job.run();
    return Math.max(1, Math.round(sampleMs / Math.max(secondsOf(job, 20) * 1000, 1e-4)));
  });
  const samples = jobs.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    jobs.forEach((job, j) => {
      job.run(); // what the last job left in the caches is not this job's fault
      samples[j]!.push(secondsOf(job, calls[j]!));
    });
  return new Map(jobs.map((job, j) => [job.name, median(samples[j]!)]));
}

/** Mean seconds of a call over a run of them. */
function secondsOf(job: Job, calls: number): number {
  const start = process.threadCpuUsage();
  for (let i = 0; i < calls; i++) job.run();
  const { user, system } = process.threadCpuUsage(start);
  return (user + system) / calls / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

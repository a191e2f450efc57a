/**
 * Random mixes of requests: prompts, depths, exit rules, cache strategies, seeds, ways of decoding, deadlines and
 * arrival times. Each request is run alone, then all of a mix together through the scheduler; tokens and step counts
 * must be equal.
 */
import type { Backend } from "../../engine/port/backend.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate } from "../../engine/decode/generate.ts";
import { seededState } from "../../engine/decode/initial-state.ts";
import { speculate } from "../../engine/decode/speculate.ts";
import { generateWavefront } from "../../engine/decode/wavefront.ts";
import { EXIT_CRITERIA, type ExitRule } from "../../engine/exit-rule.ts";
import { uniform } from "../../engine/random.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";

type Mode = "plain" | "warm" | "speculative" | "wavefront";

export interface MixRequest {
  readonly mode: Mode;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly iterations: number;
  readonly exit: ExitRule;
  readonly cache: string;
  readonly seed: number;
  readonly temperature: number;
  readonly deadlineMs: number;
  /** Yields to the host that pass before it arrives. */
  readonly arrival: number;
}

const CACHES = [
  "full",
  "full",
  "latest-m1",
  "skip",
  "always-last-m1",
  "latest-m1-compress-s1",
  "latest-m1-compress-s2",
  "latest-m1-compress-s4",
];
/** Rules that leave rows at different depths need a cache that still sees all of them. */
const ROW_BY_ROW: readonly string[] = ["prefix", "rest-wake"];
/** Thresholds at which rules fire now and then on random weights. */
const THRESHOLDS: Readonly<Record<ExitRule["criterion"], readonly number[]>> = {
  "latent-diff": [0.05, 0.3, 0.8],
  cosine: [0.01, 0.1, 0.4],
  "entropy-diff": [1e-3, 1e-2],
  kl: [1e-3, 1e-2],
  "minp-kl": [1e-4, 1e-2],
  "argmax-stability": [1, 2, 4],
  "second-diff": [0.05, 0.4],
  prefix: [0.1, 0.5],
  "rest-wake": [0.1, 0.5],
  gate: [0.5],
  none: [0],
};

/** The requests of mix number `mix` under a seed. */
export function makeMix(seed: number, mix: number, vocabSize: number): MixRequest[] {
  let draws = 0;
  const random = (): number => uniform(seed, mix, draws++);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  return Array.from({ length: 2 + below(5) }, (): MixRequest => {
    const mode = pick<Mode>(["plain", "plain", "plain", "warm", "speculative", "wavefront"]);
    const criterion = pick(EXIT_CRITERIA.filter((each) => each !== "gate")); // which takes a model with a gate
    return {
      mode,
      prompt: Array.from({ length: 1 + below(random() < 0.2 ? 20 : 6) }, () => below(vocabSize)),
      maxTokens: 1 + below(6),
      iterations: 2 + below(10),
      exit: {
        criterion,
        threshold: pick(THRESHOLDS[criterion]),
        minIterations: below(3),
        checkEvery: 1 + below(2),
        exitInPrefill: random() < 0.8,
      },
      cache: mode === "wavefront" ? "full" : ROW_BY_ROW.includes(criterion) ? "latest-m1-compress-s1" : pick(CACHES),
      seed: below(1000),
      temperature: random() < 0.3 ? 1 : 0,
      deadlineMs: random() < 0.5 ? Infinity : below(1000),
      arrival: below(12),
    };
  });
}

/** Tokens and what they cost, as one line. */
async function runRequest(backend: Backend, request: MixRequest): Promise<string> {
  const out: unknown[] = [];
  for await (const step of requestSteps(backend, request)) out.push(step);
  return JSON.stringify(out);
}

/** What each step of a request gives: tokens, and what they cost. */
export async function* requestSteps(backend: Backend, request: MixRequest): AsyncGenerator<readonly unknown[]> {
  const { prompt, maxTokens, iterations, seed } = request;
  const base = {
    prompt,
    maxTokens,
    iterations,
    cache: parseCacheStrategy(request.cache),
    stopTokens: new Set([0]),
    initialState: seededState(backend.config, seed),
  };
  if (request.mode === "speculative")
    for await (const step of speculate(backend, { ...base, draftIterations: 1 + (seed % (iterations - 1)), lookahead: 1 + (seed % 4) }))
      yield [step.tokens, step.rowIterations];
  else if (request.mode === "wavefront")
    for await (const step of generateWavefront(backend, { ...base, stride: 1 + (seed % 4), width: 1 + (seed % 5) }))
      yield [step.token, step.rowIterations];
  else {
    const sampling = { temperature: request.temperature, seed };
    const warmStart = request.mode === "warm" ? "raw" : "off";
    for await (const step of generate(backend, { ...base, exit: request.exit, sampling, warmStart }))
      yield [step.token, step.iterations, step.rowIterations];
  }
}

export interface MixOutcome {
  readonly requests: readonly MixRequest[];
  readonly alone: readonly string[];
  readonly together: readonly string[];
  /** Core calls of the scheduler against those of the requests alone. */
  readonly calls: number;
}

export async function runMix(backend: Backend, seed: number, mix: number): Promise<MixOutcome> {
  const requests = makeMix(seed, mix, backend.config.vocabSize);
  const alone: string[] = [];
  for (const request of requests) alone.push(await runRequest(backend, request));

  let turn = 0;
  const arrivals: { at: number; start: () => void }[] = [];
  const letArrivalsIn = (): void => {
    turn++;
    for (const a of arrivals.splice(0))
      if (a.at <= turn) a.start();
      else arrivals.push(a);
  };
  const scheduler = new Scheduler(backend, { width: 1 + (mix % 24), yieldEvery: 4 });
  const yieldToHost = async (): Promise<void> => {
    letArrivalsIn();
    for (let microtask = 0; microtask < mix % 15; microtask++) await Promise.resolve();
  };
  const together = Promise.all(
    requests.map(async (request) => {
      if (request.arrival > 0) await new Promise<void>((start) => arrivals.push({ at: request.arrival, start }));
      return runRequest(scheduler.lane({ deadlineMs: request.deadlineMs, yieldToHost }), request);
    }),
  );
  const progress = { done: false };
  const settle = (): void => void (progress.done = true);
  void together.then(settle, settle);
  while (!progress.done) {
    await new Promise((resolve) => setImmediate(resolve)); // where nothing runs, time still passes for those to come
    letArrivalsIn();
  }
  return { requests, alone, together: await together, calls: scheduler.calls.iterate };
}

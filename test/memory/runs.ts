/**
 * Random runs in frozen memory: requests of all ways of decoding arrive, some begin alike and keep their beginnings for
 * each other, some are cancelled, and only so many bytes are free. Whoever is let in must end as it does alone; whoever is
 * not must be refused before anything has changed, and not while anything is kept that nobody uses.
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generateSeveral } from "../../engine/decode/several.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import type { Backend, Sequence, SequenceOptions } from "../../engine/port/backend.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readWeights } from "../../engine/model/folder.ts";
import { FathomError } from "../../engine/errors.ts";
import { uniform } from "../../engine/random.ts";
import { PrefixCache, type PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { makeMix, requestSteps, type MixRequest } from "../schedule/mixes.ts";

/** Room for the model and for whatever a run leaves free. */
const LIMIT_BYTES = 4 * 1048576;

/** Free bytes of a run: from what hardly any request fits into, to what holds several. */
const FREE_BYTES = { least: 4096, most: 160 * 1024, mostOfMore: 640 * 1024 };

/** Every third run has more requests, most of which begin alike, and room for what they leave. */
const holdsMore = (run: number): boolean => run % 3 === 2;

export async function frozenBackend(): Promise<WasmBackend> {
  const config = parseConfig(TINY_CONFIG);
  const load = (sink: Parameters<typeof readWeights>[2]): Promise<void> =>
    readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink);
  return createNodeWasmBackend(config, load, { limitBytes: LIMIT_BYTES, warm: false });
}

export interface OomRequest extends MixRequest {
  /** Steps after which the caller goes away. */
  readonly cancelAfter: number;
  /** Takes over what earlier prompts of its kind have left, and leaves its own. */
  readonly shares: boolean;
}

export interface OomOutcome {
  readonly requests: number;
  readonly refused: number;
  readonly cancelled: number;
  /** Prompts that took over the beginning of another. */
  readonly shared: number;
  readonly failures: readonly string[];
}

/** The requests of a run: those of a mix, with longer prompts now and then, and some that are cancelled. */
function makeRequests(seed: number, run: number, vocabSize: number): OomRequest[] {
  let draws = 0;
  const random = (): number => uniform(seed + 1, run, draws++);
  const below = (n: number): number => Math.floor(random() * n);
  const beginning = Array.from({ length: 24 }, () => below(vocabSize));
  const depth = 2 + below(10);
  const rule = SHARED_RULES[below(SHARED_RULES.length)]!;
  const mixes = holdsMore(run) ? [seed, seed + 3] : [seed];
  return mixes
    .flatMap((each) => makeMix(each, run, vocabSize))
    .map((request) => {
      const shares = random() < (holdsMore(run) ? 0.8 : 0.3);
      const ending = Array.from({ length: 1 + below(random() < 0.5 ? 6 : 18) }, () => below(vocabSize));
      return {
        ...request,
        prompt: shares ? [...beginning.slice(0, below(25)), ...ending] : random() < 0.5 ? request.prompt : ending,
        cancelAfter: random() < 0.3 ? below(4) : Infinity,
        shares,
        // later ones find what earlier ones have left
        ...(shares && { mode: "plain", exit: rule, iterations: depth, cache: SHARED_CACHE, arrival: below(40) }),
      };
    });
}

/** Rules by which rows behind a beginning compute what they do beside it. */
const SHARED_RULES: readonly ExitRule[] = [
  { criterion: "none", threshold: 0 },
  { criterion: "prefix", threshold: 0.3 },
  { criterion: "rest-wake", threshold: 0.3, wake: 0.3 },
];
const SHARED_CACHE = "latest-m1-compress-s1";

/** Bytes that kept beginnings may have: some of what a run has. */
const KEPT_BYTES = 64 * 1024;

/** What a request that shares gives at each step: a token and, behind the prompt, its depth; the prompt's own depend on who was there before. */
async function* sharingSteps(backend: Backend, request: OomRequest, prefix: PrefixHold | undefined): AsyncGenerator<readonly unknown[]> {
  const { prompt, maxTokens, iterations, exit, seed, temperature } = request;
  const cache = parseCacheStrategy(request.cache);
  const sampling = { temperature, seed };
  const options = { prompt, maxTokens, iterations, exit, cache, sampling, stopTokens: new Set([0]), count: 1, prefix };
  for await (const { token } of generateSeveral(backend, options))
    yield token.index === 0 ? [token.token] : [token.token, token.iterations];
}

/** Steps of a request as far as its caller stays; "refused" where it was not let in for want of memory. */
async function serve(backend: Backend, request: OomRequest, prefix?: PrefixHold): Promise<readonly string[] | "refused"> {
  const steps: string[] = [];
  const account = { isAdmitted: false };
  const seen = noting(backend, account);
  try {
    if (request.cancelAfter === 0) return steps;
    for await (const step of request.shares ? sharingSteps(seen, request, prefix) : requestSteps(seen, request)) {
      steps.push(JSON.stringify(step));
      if (steps.length >= request.cancelAfter) break;
    }
  } catch (error) {
    if (!(error instanceof FathomError) || error.code !== "out_of_memory" || account.isAdmitted) throw error;
    return "refused";
  }
  return steps;
}

/** The backend, noting in `account` once work has begun; a refusal that takes memory becomes another error. */
function noting(backend: Backend, account: { isAdmitted: boolean }): Backend {
  const noted = (open: () => Sequence): Sequence => {
    const before = backend.memory().usedBytes;
    try {
      return open();
    } catch (error) {
      const after = backend.memory().usedBytes; // less, where what was kept had to go for it
      if (after > before) throw new Error(`a refusal took ${after - before} bytes`, { cause: error });
      throw error;
    }
  };
  const openSequence = (options: SequenceOptions): Sequence => noted(() => backend.openSequence(options));
  const branch: Backend["branch"] = (parent, options) => noted(() => backend.branch(parent, options));
  const prelude: Backend["prelude"] = (inputs) => {
    account.isAdmitted = true;
    return backend.prelude(inputs);
  };
  const noting = { openSequence, branch, prelude };
  return new Proxy(backend, {
    get(target, key) {
      if (key in noting) return noting[key as keyof typeof noting];
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Run number `run` of a seed on the backend, beside the same requests alone. */
export async function runFrozen(backend: WasmBackend, seed: number, run: number): Promise<OomOutcome> {
  const requests = makeRequests(seed, run, backend.config.vocabSize);
  const alone: (readonly string[] | "refused")[] = [];
  for (const request of requests) alone.push(await serve(backend, request));

  const before = backend.memory().usedBytes;
  const { least, most, mostOfMore } = FREE_BYTES;
  const free = least + Math.floor(uniform(seed + 2, run, 0) * ((holdsMore(run) ? mostOfMore : most) - least));
  const frozen = backend.arena.allocate("scratch", backend.memory().limitBytes - before - free, "what is not free in this run");
  const scheduler = new Scheduler(backend, { width: 1 + (run % 24), yieldEvery: 4 });
  const prefixes = new PrefixCache(scheduler);
  let shared = 0;
  const serveBeside = async (request: OomRequest): Promise<readonly string[] | "refused"> => {
    const lane = scheduler.lane({ deadlineMs: request.deadlineMs, yieldToHost });
    if (!request.shares) return serve(lane, request);
    const { prompt, exit, iterations } = request;
    const cache = parseCacheStrategy(request.cache);
    const hold = prefixes.find(lane, prompt, { exit, cache, iterations, limitBytes: KEPT_BYTES, minTokens: 4 });
    if (hold.found !== undefined) shared++;
    let succeeded = false;
    try {
      const steps = await serve(lane, request, hold);
      succeeded = steps !== "refused" && request.cancelAfter === Infinity;
      return steps;
    } finally {
      hold.release(succeeded);
    }
  };
  const time = { turn: 0 };
  const waitUntil = async (arrival: number): Promise<void> => {
    while (time.turn < arrival) await new Promise((resolve) => setImmediate(resolve));
  };
  const yieldToHost = async (): Promise<void> => {
    time.turn++;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const ticking = setInterval(() => time.turn++, 1); // where nothing runs, time still passes for those to come
  const together = await Promise.allSettled(
    requests.map(async (request) => {
      await waitUntil(request.arrival);
      return serveBeside(request);
    }),
  );
  clearInterval(ticking);
  prefixes.clear();
  backend.arena.free(frozen);

  const failures = together.flatMap((outcome, i) => {
    const what = `request ${i} of ${JSON.stringify(requests[i])} with ${free} bytes free`;
    if (outcome.status === "rejected") return [`${what} failed: ${outcome.reason}`];
    if (outcome.value === "refused" || JSON.stringify(outcome.value) === JSON.stringify(alone[i])) return [];
    return [`${what}\n    alone    ${JSON.stringify(alone[i])}\n    together ${JSON.stringify(outcome.value)}`];
  });
  const after = backend.memory().usedBytes;
  if (after !== before) failures.push(`${after - before} bytes were not given back`);
  if (scheduler.waitingRows > 0) failures.push(`${scheduler.waitingRows} rows still wait`);
  return {
    requests: requests.length,
    refused: together.filter((o) => o.status === "fulfilled" && o.value === "refused").length,
    cancelled: requests.filter((r) => r.cancelAfter < Infinity).length,
    shared,
    failures,
  };
}

/**
 * Random runs in frozen memory: requests of all ways of decoding arrive, some are cancelled, and only so many bytes are
 * free. Whoever is let in must end as it does alone; whoever is not must be refused before anything has changed.
 */
import type { Backend, Sequence, SequenceOptions } from "../../engine/port/backend.ts";
import { parseConfig } from "../../engine/model/config.ts";
import { readWeights } from "../../engine/model/folder.ts";
import { FathomError } from "../../engine/errors.ts";
import { uniform } from "../../engine/random.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { memoryFolder, TINY_CONFIG, tinyCheckpoint } from "../engine/files.ts";
import { makeMix, requestSteps, type MixRequest } from "../schedule/mixes.ts";

/** Room for the model and for whatever a run leaves free. */
const LIMIT_BYTES = 4 * 1048576;

/** Free bytes of a run: from what hardly any request fits into, to what holds several. */
const FREE_BYTES = { least: 4096, most: 160 * 1024 };

export async function frozenBackend(): Promise<WasmBackend> {
  const config = parseConfig(TINY_CONFIG);
  const load = (sink: Parameters<typeof readWeights>[2]): Promise<void> =>
    readWeights(memoryFolder({ "model.safetensors": tinyCheckpoint() }), config, sink);
  return createNodeWasmBackend(config, load, { limitBytes: LIMIT_BYTES, warm: false });
}

export interface OomRequest extends MixRequest {
  /** Steps after which the caller goes away. */
  readonly cancelAfter: number;
}

export interface OomOutcome {
  readonly requests: number;
  readonly refused: number;
  readonly cancelled: number;
  readonly failures: readonly string[];
}

/** The requests of a run: those of a mix, with longer prompts now and then, and some that are cancelled. */
function makeRequests(seed: number, run: number, vocabSize: number): OomRequest[] {
  let draws = 0;
  const random = (): number => uniform(seed + 1, run, draws++);
  const below = (n: number): number => Math.floor(random() * n);
  return makeMix(seed, run, vocabSize).map((request) => ({
    ...request,
    prompt: random() < 0.5 ? request.prompt : Array.from({ length: 1 + below(30) }, () => below(vocabSize)),
    cancelAfter: random() < 0.3 ? below(4) : Infinity,
  }));
}

/** Steps of a request as far as its caller stays; "refused" where it was not let in for want of memory. */
async function serve(backend: Backend, request: OomRequest): Promise<readonly string[] | "refused"> {
  const steps: string[] = [];
  const account = { isAdmitted: false };
  const seen = noting(backend, account);
  try {
    if (request.cancelAfter === 0) return steps;
    for await (const step of requestSteps(seen, request)) {
      steps.push(JSON.stringify(step));
      if (steps.length >= request.cancelAfter) break;
    }
  } catch (error) {
    if (!(error instanceof FathomError) || error.code !== "out_of_memory" || account.isAdmitted) throw error;
    return "refused";
  }
  return steps;
}

/** The backend, noting in `account` once a sequence is open; a refusal that changes the ledger becomes another error. */
function noting(backend: Backend, account: { isAdmitted: boolean }): Backend {
  const openSequence = (options: SequenceOptions): Sequence => {
    const before = JSON.stringify(backend.memory());
    try {
      const sequence = backend.openSequence(options);
      account.isAdmitted = true;
      return sequence;
    } catch (error) {
      const after = JSON.stringify(backend.memory());
      if (after !== before) throw new Error(`a refusal changed the ledger from ${before} to ${after}`, { cause: error });
      throw error;
    }
  };
  return new Proxy(backend, {
    get(target, key) {
      if (key === "openSequence") return openSequence;
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
  const free = FREE_BYTES.least + Math.floor(uniform(seed + 2, run, 0) * (FREE_BYTES.most - FREE_BYTES.least));
  const frozen = backend.arena.allocate("scratch", backend.memory().limitBytes - before - free, "what is not free in this run");
  const scheduler = new Scheduler(backend, { width: 1 + (run % 24), yieldEvery: 4 });
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
      return serve(scheduler.lane({ deadlineMs: request.deadlineMs, yieldToHost }), request);
    }),
  );
  clearInterval(ticking);
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
    failures,
  };
}

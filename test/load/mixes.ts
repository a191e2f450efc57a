/**
 * Random mixes of requests, served by the whole way from a checked request to the backend's calls, on a simulated host.
 * What came of each is judged by an account kept here: when it came, when it was answered, who was served how much.
 */
import type { Clock } from "../../engine/budget/clock.ts";
import { WORKERS } from "../../engine/budget/price.ts";
import type { Model } from "../../engine/port/model.ts";
import { uniform } from "../../engine/random.ts";
import { MS_PER_CHARACTER } from "../../engine/text-work.ts";
import { DEFAULT_LIMITS } from "../../worker/budget.ts";
import { enter } from "../../worker/door.ts";
import { complete } from "../../worker/complete.ts";
import type { CompletionReport, CompletionRequest } from "../../worker/completion.ts";
import { promptOf, SimulatedBackend, TOKENS, type PromptHead } from "./backend.ts";
import type { Service } from "./fairness.ts";
import { SimulatedHost } from "./host.ts";

/** What writing a token and ending an answer take beside the model, in milliseconds. */
const HANDLING_MS = { token: 0.01, answer: 0.05 } as const;

/** The part of reading that comes before the handler has the body, and what making tokens of a text takes for each of them. */
const [HEAD_SHARE, TOKENISING_MS] = [0.3, 0.003];

/** Characters of a text for each of its tokens. */
const CHARACTERS_PER_TOKEN = 4;

export interface LoadRequest extends PromptHead {
  readonly latencyMs: number | undefined;
  readonly maxTokens: number | undefined;
  /** Never exits, 32 iterations: what a careless caller sends. */
  readonly thinksFully: boolean;
  /** Who sends it. */
  readonly key: string;
}

export interface Mix {
  /** Requests of callers who send the next one when the last is answered, caller by caller. */
  readonly callers: readonly (readonly LoadRequest[])[];
  /** When each caller sends its first one. */
  readonly startsMs: readonly number[];
  readonly clock: "moving" | "standing";
  /** Milliseconds of a unit, as a share of the calibration's p95. */
  readonly speed: number;
  /** Milliseconds of the thread that reading a request takes, one after the other: its head, its body, its template. */
  readonly readingMs: number;
  readonly limitBytes: number;
}

/** What a request came to, by the client's watch. */
export interface LoadOutcome {
  readonly request: LoadRequest;
  readonly sentMs: number;
  /** When its handler began. */
  readonly startedMs: number;
  /** When its prompt was through; undefined: never. */
  readonly promptedMs: number | undefined;
  readonly endedMs: number;
  readonly report: CompletionReport | undefined;
  /** R for each token that was thought about deeply enough, W for the others. */
  readonly text: string;
  readonly error: unknown;
  /** Backend work done for it, in milliseconds. */
  readonly servedMs: number;
}

export interface MixOutcome {
  readonly outcomes: readonly LoadOutcome[];
  readonly services: readonly Service[];
  readonly longestCallMs: number;
  readonly endMs: number;
}

export function makeMix(seed: number, mix: number): Mix {
  let draws = 0;
  const random = (): number => uniform(seed, mix, draws++);
  const below = (n: number): number => Math.floor(random() * n);
  const between = (low: number, high: number): number => low + below(high - low + 1);
  const count = [1, 2, 4, 8, 8, 32, 32, 64][below(8)]!;
  const keys = [1, 2, 4, count][below(4)]!;
  const [withDeadline, long] = [[0, 0.5, 0.5, 1][below(4)]!, [0, 0.05, 0.05, 0.3][below(4)]!];
  const isBurst = random() < 0.3;
  let id = 3;
  const request = (caller: number): LoadRequest => {
    const isLong = random() < long;
    return {
      id: id++,
      need: between(3, 14),
      answer: between(2, 8),
      rows: isLong ? between(300, 820) : between(12, 60),
      latencyMs: random() < withDeadline ? Math.round(20 * 25 ** random()) : undefined,
      maxTokens: random() < 0.3 ? between(1, 16) : undefined,
      thinksFully: isLong && random() < 0.5,
      key: `key-${caller % keys}`,
    };
  };
  const each = Math.max(1, Math.min(12, Math.floor(120 / count)));
  return {
    callers: Array.from({ length: count }, (_, caller) => Array.from({ length: each }, () => request(caller))),
    startsMs: Array.from({ length: count }, () => (isBurst ? 0 : random() * 40)),
    clock: random() < 0.5 ? "moving" : "standing",
    speed: 0.4 + 0.6 * random(),
    readingMs: 0.05 + 0.3 * random(),
    limitBytes: random() < 0.2 ? between(2, 12) << 20 : 96 << 20,
  };
}

/** Everything that a mix is served by. */
interface World {
  readonly host: SimulatedHost;
  readonly clock: Clock;
  readonly model: Model;
  readonly readingMs: number;
  readonly served: Map<number, number>;
}

export async function runMix(model: Model, mix: Mix, seed: number): Promise<MixOutcome> {
  const host = new SimulatedHost();
  const { weights, msPerUnit } = model.card.calibration!;
  const [served, services, outcomes]: [Map<number, number>, Service[], LoadOutcome[]] = [new Map(), [], []];
  let calls = 0;
  const backend = new SimulatedBackend(model.config, host, {
    weights,
    msPerUnit: () => msPerUnit.p95 * mix.speed * (0.95 + 0.1 * uniform(seed, 77, calls++)),
    limitBytes: mix.limitBytes,
    onServed: (id, ms) => {
      served.set(id, (served.get(id) ?? 0) + ms);
      services.push({ id, ms, atMs: host.nowMs });
    },
  });
  const clock = mix.clock === "moving" ? host.movingClock : host.standingClock;
  const text = { ...model.text, decode, steps: stepsOn(host) };
  const world: World = { host, clock, model: { ...model, backend, text }, readingMs: mix.readingMs, served };
  const expected = mix.callers.reduce((sum, requests) => sum + requests.length, 0);
  mix.callers.forEach((requests, caller) => {
    const send = (index: number, atMs: number): void => {
      const request = requests[index];
      if (request === undefined) return;
      host.at(atMs, () => {
        void serve(request, atMs, world).then((outcome) => {
          outcomes.push(outcome);
          send(index + 1, outcome.endedMs + 0.1);
        });
      });
    };
    send(0, mix.startsMs[caller]!);
  });
  await host.run(() => outcomes.length === expected);
  return { outcomes, services, longestCallMs: backend.longestMs, endMs: host.nowMs };
}

/** A mix, and each of its answered requests once more with nobody else on the host. */
export interface ComparedMix extends MixOutcome {
  /** By the request's number. */
  readonly alone: ReadonlyMap<number, LoadOutcome>;
}

/** Runs a mix, and then each request that was answered by itself, with the same grant. */
export async function runCompared(model: Model, mix: Mix, seed: number): Promise<ComparedMix> {
  const mixed = await runMix(model, mix, seed);
  const alone = new Map<number, LoadOutcome>();
  for (const { request, report } of mixed.outcomes) {
    if (report === undefined) continue;
    const { outcomes } = await runMix(model, { ...mix, callers: [[request]], startsMs: [0] }, seed);
    alone.set(request.id, outcomes[0]!);
  }
  return { ...mixed, alone };
}

/** A prompt as text, in as many characters as its tokens would have. */
function textOf({ id, need, answer, rows }: PromptHead): string {
  return JSON.stringify({ id, need, answer, rows }).padEnd(CHARACTERS_PER_TOKEN * rows);
}

/** Makes tokens of such texts, which takes time of the host's. */
function stepsOn(host: SimulatedHost): NonNullable<Model["text"]["steps"]> {
  // oxlint-disable-next-line require-yield -- short texts are read in one go
  return function* (prompt, onLeast, onWork) {
    const head = JSON.parse(prompt as string) as PromptHead;
    onLeast?.(Math.ceil(head.rows / 4));
    host.work(TOKENISING_MS * head.rows);
    onWork?.(MS_PER_CHARACTER * prompt.length);
    return promptOf(head);
  };
}

/** Tokens as text by which answers are judged. */
function decode(tokens: readonly number[]): string {
  return tokens.map((token) => (token === TOKENS.right ? "R" : "W")).join("");
}

/** One request as a route would serve it. */
async function serve(request: LoadRequest, sentMs: number, { host, clock, model, readingMs, served }: World): Promise<LoadOutcome> {
  const startedMs = host.nowMs;
  host.work(HEAD_SHARE * readingMs);
  const entry = await enter({ clock, breathe: host.breathe });
  if (clock.moves !== true) await host.event();
  host.work((1 - HEAD_SHARE) * readingMs);
  let text = "";
  let promptedMs: number | undefined;
  const ended = (report: CompletionReport | undefined, error?: unknown): LoadOutcome => {
    host.work(HANDLING_MS.answer);
    return { request, sentMs, startedMs, promptedMs, endedMs: host.nowMs, report, text, error, servedMs: served.get(request.id) ?? 0 };
  };
  const settings = {
    limits: DEFAULT_LIMITS,
    price: WORKERS,
    clock,
    entry,
    breathe: host.breathe,
    signal: new AbortController().signal,
    caller: request.key,
  };
  try {
    for await (const piece of complete(model, wireRequest(request), settings)) {
      promptedMs ??= host.nowMs;
      host.work(HANDLING_MS.token);
      text += piece.text;
      if (piece.report !== undefined) return ended(piece.report);
    }
    return ended(undefined, new Error("The answer has no end."));
  } catch (error) {
    return ended(undefined, error);
  }
}

function wireRequest(request: LoadRequest): CompletionRequest {
  const { latencyMs, maxTokens, thinksFully } = request;
  return {
    model: "nano",
    prompt: { kind: "text", text: textOf(request) },
    effort: undefined,
    budget: {
      ...(latencyMs !== undefined && { latency_ms: latencyMs }),
      ...(thinksFully && { iterations: 32, exit: { threshold: 0 } }),
    },
    maxTokens,
    sampling: {},
    stop: [],
    choices: 1,
    cacheKey: undefined,
    stream: false,
    includeUsage: false,
  };
}

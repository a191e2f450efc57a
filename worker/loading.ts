/**
 * Loading a model once per isolate: one attempt that all requests share, a time limit, and a memory of failures, so that
 * what is broken is not read again by every request. Not here: where models come from (model-source.ts), HTTP.
 */
import type { Clock } from "../engine/budget/clock.ts";
import { FathomError } from "../engine/errors.ts";
import { describeValue } from "../engine/options.ts";
import type { Model } from "../engine/port/model.ts";
import { ApiError, modelUnavailable } from "./errors.ts";
import { hostClock, NO_HOST, type Host } from "./host.ts";

/** How the load of a model stands. */
export type LoadState =
  | { readonly status: "not_loaded" }
  /** Was taken out of a memory that several models share; the next request for it loads it again. */
  | { readonly status: "evicted" }
  | { readonly status: "loading" }
  | { readonly status: "ready"; readonly model: Model }
  /** The next attempt is made by the first request after `retryInMs`. */
  | { readonly status: "failed"; readonly error: unknown; readonly failures: number; readonly retryInMs: number };

/**
 * Gives the model, loading it where nobody has; its state can be asked for at any time and starts nothing. Code of a
 * Worker's own calls it with its `env` and `ctx`: `const model = await nano(env, ctx)`.
 */
export interface SharedModel<Bindings> {
  /** @param host keeps the load alive when the request that began it has gone, as an ExecutionContext does [default nothing] */
  (bindings: Bindings, host?: Host): Promise<Model>;
  state(): LoadState;
}

/** A loaded model that stays until it is released, once or more often. */
export interface Lease {
  readonly model: Model;
  readonly release: () => void;
}

/**
 * Makes a model.
 * @param signal aborts when the load has taken too long; what it opened should be let go then
 * @param origin where the host was called, such as "https://shop.example"; undefined where it was by a service binding
 */
export type Load<Bindings> = (bindings: Bindings, signal: AbortSignal, origin: string | undefined) => Model | Promise<Model>;

export interface LoadOptions {
  /** The longest that a load may take, in milliseconds. Workers keep a request whose caller has left for 30 s. [default 30000] */
  readonly timeLimitMs?: number;
  /** [default the host's] */
  readonly clock?: Pick<Clock, "now">;
  /** How often a load shows that its request still lives, in milliseconds. [default 1000] */
  readonly beatMs?: number;
}

const TIME_LIMIT_MS = 30_000;
const BEAT_MS = 1000;
/** Timers of more fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Beats missed until a load counts as dead. */
const MISSED_BEATS = 3;
/** Waits before a load tries a transient failure again by itself, in milliseconds. */
const RETRY_MS = [100, 400];
/** How long a failed load is remembered: the first time, and at most; doubled from one failure to the next. */
const BACK_OFF = {
  /** Storage that fails now may answer soon. */
  transient: { firstMs: 1000, mostMs: 60_000 },
  /** A file that is missing or damaged stays so until somebody mends it. */
  permanent: { firstMs: 30_000, mostMs: 300_000 },
};

interface Failure {
  readonly error: unknown;
  /** One after the other, this one included. */
  readonly failures: number;
  readonly atMs: number;
  readonly waitMs: number;
}

interface Attempt {
  readonly model: Promise<Model>;
  /** Counted, not timed: after a pause of the whole thread those who wait may be woken before the beat is. */
  beats: number;
}

/**
 * Shares the result of `load` among all requests. An attempt is made at the first request. It belongs to that request on
 * Workers, where a request's timers and streams die with it: others that wait see its beats end, and one takes over.
 *
 * @returns what gives the model; after `forget` the next request loads it anew
 * @throws {RangeError} for a time limit that is no positive number
 */
export function shareModel<Bindings>(
  load: Load<Bindings>,
  { timeLimitMs = TIME_LIMIT_MS, clock = hostClock, beatMs = BEAT_MS }: LoadOptions = {},
): SharedModel<Bindings> & { forget(): void } {
  if (!(timeLimitMs > 0 && timeLimitMs <= LONGEST_TIMER_MS))
    throw new RangeError(`timeLimitMs must be milliseconds above 0 and up to ${LONGEST_TIMER_MS}, not ${String(timeLimitMs)}.`);
  let ready: Model | undefined;
  let failed: Failure | undefined;
  let current: Attempt | undefined;

  const begin = (bindings: Bindings, host: Host): Attempt => {
    const timed = withinTime((signal) => tryAgain(async () => modelOf(await load(bindings, signal, host.origin)), signal), timeLimitMs);
    const beat = setInterval(() => attempt.beats++, beatMs);
    const model = timed.then(
      (loaded) => {
        clearInterval(beat);
        if (current === attempt) current = undefined;
        failed = undefined;
        return (ready ??= loaded); // of two, where one took over too early, the first
      },
      (error: unknown) => {
        clearInterval(beat);
        if (current !== attempt) throw error; // another one has taken over
        current = undefined;
        if (error instanceof ApiError) throw error; // for this request alone
        const failures = (failed?.failures ?? 0) + 1;
        failed = { error, failures, atMs: clock.now(), waitMs: backOffMs(error, failures) };
        throw error;
      },
    );
    const attempt: Attempt = { model, beats: 0 };
    host.waitUntil(model.catch(() => undefined)); // the request that began it may be cancelled while others wait
    return attempt;
  };

  const get = async (bindings: Bindings, host: Host = NO_HOST): Promise<Model> => {
    for (;;) {
      if (ready !== undefined) return ready;
      if (current === undefined && failed !== undefined && leftMs(failed, clock) > 0) throw unavailable(failed, clock);
      const attempt = (current ??= begin(bindings, host));
      const { beats } = attempt;
      try {
        const model = await settledWithin(attempt.model, MISSED_BEATS * beatMs);
        if (model !== undefined) return model;
      } catch (error) {
        if (error instanceof ApiError) throw error;
        throw failed === undefined ? modelUnavailable(error) : unavailable(failed, clock);
      }
      if (current === attempt && attempt.beats === beats) current = undefined;
    }
  };

  const state = (): LoadState => {
    if (ready !== undefined) return { status: "ready", model: ready };
    if (current !== undefined) return { status: "loading" };
    if (failed === undefined) return { status: "not_loaded" };
    return { status: "failed", error: failed.error, failures: failed.failures, retryInMs: leftMs(failed, clock) };
  };
  return Object.assign(get, { state, forget: () => void (ready = undefined) });
}

/** Whether a value has what answering needs of a model. Never throws. */
export function isModel(value: unknown): value is Model {
  try {
    const { config, card, text, backend } = value as Model;
    return (
      Number.isFinite(config.contextLength) &&
      typeof card.id === "string" &&
      typeof text.encode === "function" &&
      typeof backend.openSequence === "function"
    );
  } catch {
    return false;
  }
}

/** What a host's function gave. @throws {FathomError} unavailable where it is no model */
export function modelOf(value: unknown): Model {
  if (isModel(value)) return value;
  throw new FathomError("unavailable", `The function of a model must give a loaded model, not ${describeValue(value)}.`);
}

function unavailable(failure: Failure, clock: Pick<Clock, "now">): Error {
  return modelUnavailable(failure.error, Math.max(1, Math.ceil(leftMs(failure, clock) / 1000)));
}

/** Milliseconds until the next attempt; 0 where the clock was set back. */
function leftMs({ atMs, waitMs }: Failure, clock: Pick<Clock, "now">): number {
  const left = atMs + waitMs - clock.now();
  return left > waitMs ? 0 : Math.max(0, left);
}

function backOffMs(error: unknown, failures: number): number {
  const { firstMs, mostMs } = isTransient(error) ? BACK_OFF.transient : BACK_OFF.permanent;
  return Math.min(mostMs, firstMs * 2 ** (failures - 1));
}

/** What the engine did not name is the network's or the host's. */
function isTransient(error: unknown): boolean {
  return !(error instanceof FathomError) || error.isTransient;
}

async function tryAgain(load: () => Model | Promise<Model>, signal: AbortSignal): Promise<Model> {
  for (const waitMs of RETRY_MS)
    try {
      return await load();
    } catch (error) {
      if (!isTransient(error) || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      signal.throwIfAborted();
    }
  return load();
}

/** @throws {FathomError} unavailable when the time is up; the work's signal aborts then */
function withinTime(work: (signal: AbortSignal) => Promise<Model>, limitMs: number): Promise<Model> {
  const stop = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new FathomError("unavailable", `The model was not loaded within ${limitMs} ms.`, undefined, { isTransient: true }));
      stop.abort();
    }, limitMs);
    work(stop.signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/** The value of a promise, or undefined where it takes longer. The timer is this request's own, whoever made the promise. */
export async function settledWithin<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), Math.min(ms, LONGEST_TIMER_MS))));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}

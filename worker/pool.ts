/**
 * Several models in the memory of one isolate: each is loaded when a request asks for it, and whichever was asked for
 * longest ago goes where room is wanted, unless it is answering. Not here: how one load is shared, limited and tried again
 * (loading.ts), the memory itself (wasm/shared.ts).
 */
import * as v from "valibot";
import { FathomError } from "../engine/errors.ts";
import type { ModelCard } from "../engine/model/card.ts";
import { callable, checkOptions } from "../engine/options.ts";
import type { BackendFactory, Model } from "../engine/port/model.ts";
import type { ModelMemory, ModelPlace } from "../engine/port/model-memory.ts";
import { ApiError } from "./errors.ts";
import { NO_HOST, type Host } from "./host.ts";
import { modelOf, shareModel, type Lease, type Load, type LoadOptions, type LoadState, type SharedModel } from "./loading.ts";
import { dropPrefixes, reclaimBeyond } from "./schedulers.ts";

/** What the load of one of several models is given. */
export interface PoolLoad<Bindings, Name extends string = string> {
  readonly name: Name;
  /** Puts the model into the shared memory: the second argument of `loadModel`. */
  readonly createBackend: BackendFactory;
  readonly bindings: Bindings;
  /** Aborts when the load has taken too long. */
  readonly signal: AbortSignal;
  /** Where the Worker was called; undefined where it was by a service binding. */
  readonly origin: string | undefined;
}

/** One of several models: a source for `createApp`, and for code of a Worker's own. */
export interface PooledModel<Bindings> extends SharedModel<Bindings> {
  /** Loads the model where it is not in memory, and keeps it there until the work has ended. */
  use<T>(bindings: Bindings, host: Host | undefined, work: (model: Model) => T | Promise<T>): Promise<T>;
  /** Loads the model where it is not in memory, and keeps it there until `release` is called. */
  lease(bindings: Bindings, host?: Host): Promise<Lease>;
  /** The card as it was last loaded. */
  card(): ModelCard | undefined;
}

interface Entry<Bindings> {
  readonly name: string;
  readonly shared: SharedModel<Bindings> & { forget(): void };
  /** Memory of an attempt to load, until it has ended. */
  loading: ModelPlace | undefined;
  loaded: ModelPlace | undefined;
  card: ModelCard | undefined;
  /** Memory that it took when it was last loaded; 0 where that is not known. */
  bytes: number;
  /** Requests that are being answered. */
  leases: number;
  usedAt: number;
}

/**
 * Shares one memory among several models. A request for a model that is not in memory takes out the one that was asked for
 * longest ago and is answering nobody, as many as needed; where all that is left is answering, it is refused with 503, which
 * names them. Requests that need more memory for themselves do the same.
 *
 * @param {string[]} names - What callers call the models.
 * @param {(load: PoolLoad) => Promise<Model>} load - Makes one of them, by `createBackend`.
 * @param {ModelMemory} memory - `workerMemory()` on Workers (96 MiB), `sharedWasm({ module, limitBytes })` elsewhere.
 * @param {number} [options.timeLimitMs=30000] - The longest that a load may take, in milliseconds.
 * @returns the models by name, for the option `models` of `createApp`
 * @throws {TypeError} naming the argument that is wrong
 *
 * @example
 * ```ts
 * const models = modelPool<{ ASSETS: Fetcher }>(
 *   ["nano", "decider"],
 *   ({ name, createBackend, bindings: { ASSETS }, signal, origin }) =>
 *     loadModel(assetsFolder(ASSETS, name, { signal, origin }), createBackend),
 *   workerMemory(),
 * );
 * export default createApp({ models });
 * ```
 */
export function modelPool<Bindings, Name extends string = string>(
  names: readonly Name[],
  load: (load: PoolLoad<Bindings, Name>) => Model | Promise<Model>,
  memory: ModelMemory,
  options: { readonly timeLimitMs?: number } = {},
): Record<Name, PooledModel<Bindings>> {
  checkArguments(names, load, memory);
  const pool = new Pool(load, memory);
  return Object.fromEntries(names.map((name) => [name, pool.add(name, options)])) as Record<Name, PooledModel<Bindings>>;
}

/** @throws {TypeError} */
function checkArguments(names: unknown, load: unknown, memory: unknown): void {
  const list = v.pipe(
    v.array(v.string("a list of names"), "a list of names"),
    v.minLength(1, "a list of at least one name"),
    v.check((all) => new Set(all).size === all.length, "a list of names that differ"),
  );
  checkOptions("modelPool", list, names);
  checkOptions("modelPool", callable<() => unknown>(), load);
  const isMemory = (value: unknown): boolean => typeof (value as ModelMemory | null)?.place === "function";
  checkOptions("modelPool", v.custom<ModelMemory>(isMemory, "memory for models, such as workerMemory()"), memory);
}

type LoadOne<Bindings, Name extends string> = (load: PoolLoad<Bindings, Name>) => Model | Promise<Model>;

class Pool<Bindings, Name extends string> {
  readonly #load: LoadOne<Bindings, Name>;
  readonly #memory: ModelMemory;
  readonly #entries: Entry<Bindings>[] = [];
  /** Releases what a request held that died without a word: on Workers its promises are never heard of again. */
  readonly #forgotten = new FinalizationRegistry<() => void>((release) => release());
  #clock = 0;

  constructor(load: LoadOne<Bindings, Name>, memory: ModelMemory) {
    this.#load = load;
    this.#memory = memory;
  }

  add(name: Name, options: Pick<LoadOptions, "timeLimitMs">): PooledModel<Bindings> {
    const shared = shareModel<Bindings>((...given) => this.#attempt(entry, name, ...given), options);
    const entry: Entry<Bindings> = { name, shared, loading: undefined, loaded: undefined, card: undefined, bytes: 0, leases: 0, usedAt: 0 };
    this.#entries.push(entry);
    const lease: PooledModel<Bindings>["lease"] = (bindings, host = NO_HOST) => this.#lease(entry, bindings, host);
    const use: PooledModel<Bindings>["use"] = async (bindings, host, work) => {
      const { model, release } = await lease(bindings, host);
      try {
        return await work(model);
      } finally {
        release();
      }
    };
    const get = (bindings: Bindings, host?: Host): Promise<Model> => use(bindings, host, (model) => model);
    return Object.assign(get, { state: () => stateOf(entry), lease, use, card: () => entry.card });
  }

  async #lease(entry: Entry<Bindings>, bindings: Bindings, host: Host): Promise<Lease> {
    for (;;) {
      const model = await entry.shared(bindings, host);
      const state = entry.shared.state();
      if (state.status === "ready" && state.model === model) return this.#leased(entry, model);
      // it was taken out before this request woke
    }
  }

  #leased(entry: Entry<Bindings>, model: Model): Lease {
    let isReleased = false;
    const end = (): void => {
      if (isReleased) return;
      isReleased = true;
      entry.leases--;
      entry.usedAt = ++this.#clock;
    };
    const release = (): void => end();
    entry.leases++;
    entry.usedAt = ++this.#clock;
    this.#forgotten.register(release, end);
    return { model, release };
  }

  async #attempt(entry: Entry<Bindings>, name: Name, ...[bindings, signal, origin]: Parameters<Load<Bindings>>): Promise<Model> {
    entry.loading?.close(); // of a request that has died
    entry.loaded?.close(); // came too late to be taken
    const inUse = this.#busyExcept(entry).reduce((sum, { loaded, loading }) => sum + (loaded ?? loading)!.usedBytes, 0);
    if (entry.bytes > this.#memory.limitBytes - inUse) throw noRoom(entry, this.#busyExcept(entry)); // before an idle one goes in vain
    const place = this.#memory.place(() => this.#makeRoom(entry));
    Object.assign(entry, { loading: place, loaded: undefined });
    try {
      const model = modelOf(await this.#load({ name, createBackend: place.createBackend, bindings, signal, origin }));
      if (entry.loading !== place) throw new FathomError("unavailable", "Another request has taken over this load.");
      Object.assign(entry, { loading: undefined, loaded: place, card: model.card, bytes: place.usedBytes });
      reclaimBeyond(model.backend, () => this.#makeRoom(entry));
      return model;
    } catch (error) {
      if (entry.loading === place) entry.loading = undefined;
      place.close();
      const busy = this.#busyExcept(entry);
      throw (error as Partial<FathomError>).code === "out_of_memory" && busy.length > 0 ? noRoom(entry, busy) : error;
    }
  }

  /** Takes out the idle model that was asked for longest ago; where none is idle, what the others keep for later prompts. */
  #makeRoom(asking: Entry<Bindings>): boolean {
    const others = this.#entries.filter((entry) => entry !== asking && entry.loaded !== undefined);
    const [oldest] = others.filter(isIdle).toSorted((a, b) => a.usedAt - b.usedAt);
    if (oldest !== undefined) takeOut(oldest);
    return oldest !== undefined || others.some(({ shared }) => dropPrefixes(shared.state()));
  }

  /** Models that keep their memory, as they answer or are being loaded. */
  #busyExcept(asking: Entry<Bindings>): Entry<Bindings>[] {
    return this.#entries.filter(
      (entry) => entry !== asking && (entry.loading !== undefined || (entry.loaded !== undefined && !isIdle(entry))),
    );
  }
}

function isIdle({ leases, shared }: Entry<never>): boolean {
  return leases === 0 && shared.state().status !== "loading";
}

function takeOut(entry: Entry<never>): void {
  entry.shared.forget();
  entry.loaded!.close();
  entry.loaded = undefined;
}

function stateOf({ shared, card }: Entry<never>): LoadState {
  const state = shared.state();
  return state.status === "not_loaded" && card !== undefined ? { status: "evicted" } : state;
}

function noRoom({ name }: Entry<never>, busy: readonly Entry<never>[]): ApiError {
  const names = busy.map((entry) => entry.name).join(" and ");
  const message = `There is no room for the model ${name} now, while ${names} ${busy.length > 1 ? "answer" : "answers"} others; try again later.`;
  return new ApiError(503, "out_of_memory", message, "model");
}

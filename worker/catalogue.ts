/**
 * The models that an app serves, by the names that callers use. Loads nothing by itself.
 */
import type { ModelCard } from "../engine/model/card.ts";
import type { Model } from "../engine/port/model.ts";
import { excerpt } from "./check.ts";
import { ApiError, modelUnavailable } from "./errors.ts";
import { NO_HOST, type Host } from "./host.ts";
import { modelOf, settledWithin, type Lease, type LoadState, type SharedModel } from "./loading.ts";

/**
 * A loaded model, or how to get it. A function is called for every request that needs the model, with the host's
 * bindings: it must load once and give everyone the same promise, and remember what failed (`once` does that).
 */
export type ModelSource<Bindings> = Model | ((bindings: Bindings, host: Host) => Model | Promise<Model>);

export interface ModelOptions<Bindings> {
  /** The one model to serve, named as its card says. */
  readonly model?: ModelSource<Bindings> | undefined;
  /** Models by name, in place of `model` or beside it. */
  readonly models?: Readonly<Record<string, ModelSource<Bindings>>> | undefined;
  /** Further names of models, for clients that know others; answers carry the model's own. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
}

export interface NamedModel {
  readonly id: string;
  readonly model: Model;
}

/** A model that stays in memory until it is released. */
export interface LentModel extends NamedModel, Lease {}

export interface NamedCard {
  readonly id: string;
  readonly card: ModelCard;
}

/** Who asks for a model, and how long they can wait. */
export interface Asking<Bindings> {
  readonly bindings: Bindings;
  readonly host: Host;
  /** Longest wait for a model that is being loaded, in milliseconds; the load itself goes on. [default until it ends] */
  readonly waitMs?: number | undefined;
}

export interface ModelState {
  /** The model's name; undefined where only the card of a model that is not loaded knows it. */
  readonly id: string | undefined;
  readonly state: LoadState;
}

export interface Catalogue<Bindings> {
  /** Must be released when the request has ended. @throws {ApiError} 404 model_not_found, 503 model_loading, model_unavailable or out_of_memory */
  find(id: string, asking: Asking<Bindings>): Promise<LentModel>;
  /** Cards of the models that can be used, also under their aliases; some may be broken. @throws {ApiError} 503 if all are */
  usable(asking: Asking<Bindings>): Promise<NamedCard[]>;
  /** How the loads stand. Starts nothing. */
  states(): ModelState[];
  /** Starts every load that is due, and waits for none; what fails is told to `failed`. */
  prepare(asking: Asking<Bindings>, failed: (error: unknown) => void): void;
}

export function createCatalogue<Bindings>({ model, models = {}, aliases = {} }: ModelOptions<Bindings>): Catalogue<Bindings> {
  const named = new Map(Object.entries(models).map(([id, source]) => [id, sharedModel(source)] as const));
  const renamed = new Map(Object.entries(aliases));
  const single = model === undefined ? undefined : sharedModel(model);
  const all = [...(single === undefined ? [] : [[undefined, single] as const]), ...named];
  return {
    async find(asked, asking) {
      const id = renamed.get(asked) ?? asked;
      const source = named.get(id);
      if (source !== undefined) return { id, ...(await lend(source, asking)) };
      const only = single && (await lend(single, asking));
      if (only?.model.card.id === id) return { id, ...only };
      only?.release();
      const known = [...(only === undefined ? [] : [only.model.card.id]), ...named.keys(), ...renamed.keys()];
      throw new ApiError(404, "model_not_found", `There is no model ${excerpt(asked)} here; there is ${known.join(", ")}.`, "model");
    },
    async usable(asking) {
      const cards: NamedCard[] = [];
      let failure: unknown;
      for (const [id, source] of all)
        try {
          const card = source.card?.() ?? (await cardOf(source, asking));
          cards.push({ id: id ?? card.id, card });
        } catch (error) {
          failure ??= error;
        }
      if (cards.length === 0) throw failure;
      const byAlias = [...renamed].flatMap(([alias, target]) =>
        cards.filter(({ id }) => id === target).map(({ card }) => ({ id: alias, card })),
      );
      return [...cards, ...byAlias];
    },
    states: () =>
      all.map(([id, source]) => {
        const state = source.state();
        return { id: id ?? (state.status === "ready" ? state.model.card.id : undefined), state };
      }),
    prepare({ bindings, host }, failed) {
      for (const [, source] of all) if (source.state().status !== "evicted") host.waitUntil(source(bindings, host).catch(failed)); // a dead load is seen only by who stays
    },
  };
}

/** A source that may be one of several in a memory (pool.ts). */
type Source<Bindings> = SharedModel<Bindings> & {
  lease?(bindings: Bindings, host: Host): Promise<Lease>;
  card?(): ModelCard | undefined;
};

async function lend<Bindings>(source: Source<Bindings>, { bindings, host, waitMs }: Asking<Bindings>): Promise<Lease> {
  const lease = source.lease?.(bindings, host) ?? source(bindings, host).then((model) => ({ model, release: () => undefined }));
  if (waitMs === undefined) return lease;
  const lent = await settledWithin(lease, waitMs);
  if (lent !== undefined) return lent;
  void lease.then(({ release }) => release()).catch(() => undefined);
  throw new ApiError(503, "model_loading", "The model is still being loaded, longer than this request can wait; try again.");
}

async function cardOf<Bindings>(source: Source<Bindings>, asking: Asking<Bindings>): Promise<ModelCard> {
  const { model, release } = await lend(source, asking);
  release();
  return model.card;
}

/** Makes of any source one whose state is known. Whatever a load throws is the model's fault: no caller can break one. */
function sharedModel<Bindings>(source: ModelSource<Bindings>): Source<Bindings> {
  if (typeof source !== "function")
    return Object.assign(async () => source, { state: (): LoadState => ({ status: "ready", model: source }) });
  if ("state" in source) return source as Source<Bindings>;
  let state: LoadState = { status: "not_loaded" };
  const get = async (bindings: Bindings, host: Host = NO_HOST): Promise<Model> => {
    if (state.status !== "ready") state = { status: "loading" };
    try {
      const model = modelOf(await source(bindings, host));
      state = { status: "ready", model };
      return model;
    } catch (error) {
      state = { status: "failed", error, failures: 1, retryInMs: 0 };
      throw error instanceof ApiError ? error : modelUnavailable(error);
    }
  };
  return Object.assign(get, { state: () => state });
}

/**
 * The models that an app serves, by the names that callers use. Loads nothing by itself.
 */
import type { Model } from "../engine/port/model.ts";
import { excerpt } from "./check.ts";
import { ApiError, modelUnavailable } from "./errors.ts";
import type { Host } from "./host.ts";

/**
 * A loaded model, or how to get it. A function is called for every request that needs the model, with the host's
 * bindings: it must load once and give everyone the same promise (`once` does that).
 */
export type ModelSource<Bindings> = Model | ((bindings: Bindings, host: Host) => Model | Promise<Model>);

export interface ModelOptions<Bindings> {
  /** The one model to serve, named as its card says. */
  readonly model?: ModelSource<Bindings> | undefined;
  /** Models by name, in place of `model` or beside it. */
  readonly models?: Readonly<Record<string, ModelSource<Bindings>>>;
}

export interface NamedModel {
  readonly id: string;
  readonly model: Model;
}

export interface Catalogue<Bindings> {
  /** @throws {ApiError} 404 model_not_found */
  find(id: string, bindings: Bindings, host: Host): Promise<NamedModel>;
  all(bindings: Bindings, host: Host): Promise<NamedModel[]>;
}

export function createCatalogue<Bindings>({ model, models = {} }: ModelOptions<Bindings>): Catalogue<Bindings> {
  const named = new Map(Object.entries(models));
  if (model === undefined && named.size === 0) throw new TypeError("Give createApp a model, or models by name.");
  const get = async (source: ModelSource<Bindings>, bindings: Bindings, host: Host): Promise<Model> => {
    if (typeof source !== "function") return source;
    try {
      return await source(bindings, host);
    } catch (error) {
      throw error instanceof ApiError ? error : modelUnavailable(error); // whatever its code: no caller can break a load
    }
  };
  const only = async (bindings: Bindings, host: Host): Promise<NamedModel[]> => {
    if (model === undefined) return [];
    const loaded = await get(model, bindings, host);
    return [{ id: loaded.card.id, model: loaded }];
  };
  return {
    async find(id, bindings, host) {
      const source = named.get(id);
      if (source !== undefined) return { id, model: await get(source, bindings, host) };
      const single = await only(bindings, host);
      const found = single.find((m) => m.id === id);
      if (found !== undefined) return found;
      const known = [...single.map((m) => m.id), ...named.keys()];
      throw new ApiError(404, "model_not_found", `There is no model ${excerpt(id)} here; there is ${known.join(", ")}.`, "model");
    },
    async all(bindings, host) {
      const others = [...named].map(async ([id, source]) => ({ id, model: await get(source, bindings, host) }));
      return [...(await only(bindings, host)), ...(await Promise.all(others))];
    },
  };
}

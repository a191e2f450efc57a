/**
 * Further names of models: what a deployment may say of them. Not here: who is found by a name (catalogue.ts).
 */
import * as v from "valibot";
import { describeValue, record } from "../engine/options.ts";
import type { ModelOptions } from "./catalogue.ts";

/** Names of models, by further names. */
export const aliases = record(v.pipe(v.string("the name of a model"), v.nonEmpty("the name of a model")));

/**
 * An alias hides no model, and stands for one; the name of an app's one model is known only when that is loaded.
 * @param factory who was called, for messages
 * @throws {TypeError} naming the alias that is wrong
 */
export function checkAliases(factory: string, { model, models = {}, aliases: renamed = {} }: ModelOptions<any>): void {
  for (const [alias, target] of Object.entries(renamed)) {
    if (Object.hasOwn(models, alias)) throw new TypeError(`${factory}: aliases.${alias} is the name of a model already; leave it out.`);
    if (model === undefined && !Object.hasOwn(models, target))
      throw new TypeError(`${factory}: aliases.${alias} must be one of ${Object.keys(models).join(", ")}, not ${describeValue(target)}.`);
  }
}

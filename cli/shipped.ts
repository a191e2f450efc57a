/** The models that the package brings, and where they are. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FathomError } from "../engine/errors.ts";

/** Folders of models, at the package's root: beside cli/, or beside dist/ where the code was compiled. */
export const SHIPPED = ["../models/", "../../models/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
export const DEFAULT_MODEL = "nano";

/**
 * The folder of a model that the package brings.
 * @throws {FathomError} invalid_request where there is none of that name
 * @example const model = await loadModel(diskFolder(shippedModel("nano")), createNodeWasmBackend);
 */
export function shippedModel(name: string): string {
  const found = SHIPPED.map((folder) => join(folder, name)).find((path) => existsSync(join(path, "config.json")));
  if (found !== undefined) return found;
  throw new FathomError("invalid_request", `The package brings no model ${JSON.stringify(name)}; it brings ${DEFAULT_MODEL}.`, "name");
}

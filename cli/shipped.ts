/**
 * Where the models that come with the package lie.
 */
import { fileURLToPath } from "node:url";

/** The folder at the package's root: beside cli/, or beside dist/ where the code was compiled. */
export const SHIPPED: readonly string[] = ["../models/", "../../models/"].map((path) => fileURLToPath(new URL(path, import.meta.url)));

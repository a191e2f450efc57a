/**
 * What a new project's package.json says about this package: its version, or where this copy of it came from, if that was
 * no registry. A name and version that no registry has would install nothing, or somebody else's package.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const NAME = "fathom-edge";

/** The package's own folder: above cli/, or above dist/ where the code was compiled. */
export const PACKAGE = [".", ".."]
  .map((up) => fileURLToPath(new URL(`../../${up}/`, import.meta.url)))
  .find((folder) => existsSync(join(folder, "package.json")))!;

export interface OwnPackage {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export async function ownPackage(): Promise<OwnPackage> {
  return JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8")) as OwnPackage;
}

/**
 * @param target folder of the new project
 * @param from   the package's own folder
 * @returns `^1.2.3`, `file:../fathom-edge-1.2.3.tgz`, a git address, or `file:` and the folder of a checkout
 */
export async function dependencyOn(version: string, target: string, from = PACKAGE): Promise<string> {
  const modules = resolve(from, "..");
  if (!modules.split(sep).includes("node_modules")) return fileSpec(target, from);
  const source = await resolvedFrom(modules);
  if (source === undefined || /^https?:/.test(source)) return `^${version}`;
  if (!source.startsWith("file:")) return source;
  return fileSpec(target, resolve(modules, "..", source.slice("file:".length)));
}

/** Where npm took the installed package from, by the list that it keeps beside it. */
async function resolvedFrom(modules: string): Promise<string | undefined> {
  const text = await readFile(join(modules, ".package-lock.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const { packages } = JSON.parse(text) as { packages: Record<string, { resolved?: string }> };
  return packages[`node_modules/${NAME}`]?.resolved;
}

function fileSpec(target: string, path: string): string {
  return `file:${relative(resolve(target), path).split(sep).join("/")}`;
}

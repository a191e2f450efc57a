/**
 * The files of a starter project: a template's, those that all templates share, and package.json, with names filled in.
 * Reads and returns; writing is init.ts's.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { LabelSet } from "../../engine/model/labels.ts";
import { dependencyOn, ownPackage, PACKAGE } from "./dependency.ts";
import { routesSource } from "./routes.ts";

export const TEMPLATES = ["router", "guard", "chat"] as const;
export type Template = (typeof TEMPLATES)[number];

const FOLDER = join(PACKAGE, "templates");

/** Names that npm would not pack, or take for its own. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: ".gitignore", "dev.vars": ".dev.vars" };
/** The end of every README. */
const MODEL_PAGE = "model.md";

const PUZZLE = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

/** Files below them take the place of a template's own: where the model decides by what options mean, and by its own labels. */
const VARIANTS = ["deciding/", "labelled/"] as const;
const ROUTES = "src/routes.ts";

/** An input that the template's README sends. */
const INPUTS = {
  puzzles: { router: PUZZLE, guard: PUZZLE, chat: PUZZLE },
  deciding: { router: "I was charged twice this month", guard: "Can we move our meeting to Thursday?", chat: PUZZLE },
} as const;

export interface ProjectNames {
  /** Name of the Worker and of the package. */
  readonly name: string;
  /** Name of the model's folder below assets/. */
  readonly model: string;
  /** What the model is for, as its card says. */
  readonly about: string;
  /** Whether it reads what options and statements mean, in branches; else the shipped model's puzzles are asked. */
  readonly isDeciding: boolean;
  /** Labels that it was trained on, which become a router's routes [none]. */
  readonly labels?: LabelSet | undefined;
}

/** Files by path, in the order of their paths. */
export async function projectFiles(template: Template, names: ProjectNames, target: string): Promise<Map<string, string>> {
  const common = await filesIn(join(FOLDER, "common"));
  const { labels, isDeciding } = names;
  const own = variantOf(await filesIn(join(FOLDER, template)), VARIANTS.slice(0, labels ? 2 : Number(isDeciding)));
  if (labels && own.has(ROUTES)) own.set(ROUTES, routesSource(labels));
  const page = common.get(MODEL_PAGE)!;
  common.delete(MODEL_PAGE);
  const files = new Map([...common, ...own, ["README.md", own.get("README.md")! + page]]);
  files.set("package.json", await packageJson(names, target));
  const filled = [...files].map(([path, text]) => [RENAMED[path] ?? path, fill(text, template, names)] as const);
  return new Map(filled.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function filesIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = files.map(async (file) => [file.slice(folder.length + 1).replaceAll("\\", "/"), await readFile(file, "utf8")] as const);
  return new Map(await Promise.all(read));
}

/** Files with those of variants in place of others of their names, a later variant's before an earlier's. */
function variantOf(files: Map<string, string>, variants: readonly string[]): Map<string, string> {
  const all = [...files];
  const plain = all.filter(([path]) => !VARIANTS.some((variant) => path.startsWith(variant)));
  const below = (variant: string): (readonly [string, string])[] =>
    all.filter(([path]) => path.startsWith(variant)).map(([path, text]) => [path.slice(variant.length), text]);
  return new Map([...plain, ...variants.flatMap(below)]);
}

function fill(text: string, template: Template, { name, model, about, isDeciding, labels }: ProjectNames): string {
  const [label] = template === "router" && labels ? labels.labels.keys() : [];
  const input = label?.replaceAll(/["'\\]/g, "") ?? INPUTS[isDeciding ? "deciding" : "puzzles"][template];
  return text.replaceAll("{{name}}", name).replaceAll("{{model}}", model).replaceAll("{{about}}", about).replaceAll("{{input}}", input);
}

/** Tools have the versions that this package is tested with. */
async function packageJson({ name }: ProjectNames, target: string): Promise<string> {
  const own = await ownPackage();
  const tools = ["@cloudflare/workers-types", "typescript", "wrangler"];
  const json = {
    name,
    private: true,
    type: "module",
    scripts: {
      dev: "wrangler dev",
      test: "node --test test/*.test.mjs",
      types: "tsc",
      check: "npm run types && npm test",
      deploy: "fathom deploy",
    },
    dependencies: {
      "fathom-edge": await dependencyOn(own.version, target),
      hono: own.peerDependencies["hono"] ?? own.dependencies["hono"]!,
    },
    devDependencies: Object.fromEntries(tools.map((tool) => [tool, own.devDependencies[tool]!])),
    allowScripts: { esbuild: true, workerd: true },
  };
  return JSON.stringify(json, null, 2) + "\n";
}

/**
 * fathom init [DIR] --template router|guard|chat: a starter Worker project that runs and deploys: TypeScript, wrangler's
 * configuration, keys, a test, and a model among assets that are never public.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { FathomError } from "../engine/errors.ts";
import { withBase } from "../engine/model/base-folder.ts";
import { readCard, type ModelCard } from "../engine/model/card.ts";
import { checkedFolder } from "../engine/model/file-list.ts";
import { readConfig } from "../engine/model/folder.ts";
import type { LabelSet } from "../engine/model/labels.ts";
import { choice } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { diskFolder } from "./files.ts";
import { PACKAGE } from "./init/dependency.ts";
import { projectFiles, TEMPLATES, type Template } from "./init/project.ts";
import { trainedChoice } from "./init/routes.ts";
import { foldersOf, holdsGraphs, isModelFile } from "./model-files.ts";
import { DEFAULT_MODEL, modelPath } from "./models.ts";
import { SHIPPED } from "./shipped.ts";

/** The model that reads what options mean. */
const DECIDER = "decider";

/** What may lie in a folder that a project is put into. */
const KEPT = [".git", "LICENSE"];

export const initCommand = defineCommand({
  meta: { name: "init", description: "Begin a Worker project that runs, is tested and deploys" },
  examples: ["fathom init my-worker", "fathom init my-guard --template guard --model ./my-model"],
  args: {
    dir: { type: "positional", required: false, default: ".", description: "folder to put the project in, new or empty" },
    template: {
      type: "string",
      default: "chat",
      description: "chat: OpenAI's API; router: inputs go to the route they belong to; guard: only what a policy allows passes",
    },
    name: { type: "string", description: "name of the Worker [the folder's]" },
    model: {
      type: "string",
      description:
        "a model folder, or the name of a shipped model, that is copied [decider for router and guard where there is one, else nano]",
    },
    json: { type: "boolean", default: false, description: "print one JSON object" },
  },
  async run({ args }) {
    const template = choice("--template", args.template, TEMPLATES);
    const target = resolve(args.dir);
    const name = workerName(args.name, target);
    await checkEmpty(target);
    const source = modelPath(args.model ?? defaultModel(template));
    const { card, labels } = await modelOf(source);
    const model = card.id;
    const about = card.description || "Its card does not say what it is for.";
    const isDeciding = card.decisions?.form === "branches";
    const files = await projectFiles(template, { name, model, about, isDeciding, labels }, target);
    for (const [path, text] of files) {
      await mkdir(dirname(join(target, path)), { recursive: true });
      await writeFile(join(target, path), text);
    }
    const [, base] = foldersOf(source);
    const made = [
      ...files.keys(),
      ...(await copyModel(source, target, model)),
      ...(base ? await copyModel(base.path, target, base.name) : []),
    ];
    if (args.json) console.log(JSON.stringify({ folder: target, template, name, model, files: made }));
    else console.log(nextSteps(args.dir, template, target, made.length));
  },
});

/** Cloudflare's names: part of a host name. */
const WORKER_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function workerName(given: string | undefined, target: string): string {
  const name =
    given ??
    basename(target)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, "-")
      .replaceAll(/^-+|-+$/g, "");
  if (WORKER_NAME.test(name)) return name;
  throw new FathomError(
    "invalid_request",
    `${JSON.stringify(name)} is no name for a Worker: use up to 63 small letters, digits and dashes, such as --name my-worker.`,
    "--name",
  );
}

/** @throws {FathomError} invalid_request: nothing of somebody's is written over */
async function checkEmpty(target: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    if (error.code !== "ENOTDIR") throw error;
    throw new FathomError("invalid_request", `${target} is a file; give a folder.`, "dir");
  });
  const others = names.filter((name) => !KEPT.includes(name));
  if (others.length > 0)
    throw new FathomError(
      "invalid_request",
      `${target} has files (${others.slice(0, 3).join(", ")}); give a new or an empty folder.`,
      "dir",
    );
}

/** What decides comes with a checkout; it is larger than a package should be. */
function defaultModel(template: Template): string {
  const hasDecider = SHIPPED.some((folder) => existsSync(join(folder, DECIDER, "config.json")));
  return template !== "chat" && hasDecider ? DECIDER : DEFAULT_MODEL;
}

/** The model's card, whose name its folder gets, and the labels of its own. @throws {FathomError} where a Worker could not load it */
async function modelOf(source: string): Promise<{ readonly card: ModelCard; readonly labels: LabelSet | undefined }> {
  if (holdsGraphs(source))
    throw new FathomError("invalid_request", `${source} holds ONNX graphs; a Worker's Wasm core needs the model's own weights.`, "--model");
  const folder = await checkedFolder(await withBase(diskFolder(source)));
  const config = await readConfig(folder);
  const card = await readCard(folder, config);
  return { card, labels: await trainedChoice(folder, card, config) };
}

/** @returns the paths of the files within the project: all of the model and nothing else */
async function copyModel(source: string, target: string, model: string): Promise<string[]> {
  const paths = (await readdir(source))
    .filter(isModelFile)
    .toSorted()
    .map((name) => ({ name, path: `assets/${model}/${name}` }));
  await mkdir(join(target, "assets", model), { recursive: true });
  for (const { name, path } of paths) await cp(join(source, name), join(target, path));
  return paths.map(({ path }) => path);
}

function nextSteps(dir: string, template: string, target: string, count: number): string {
  const enter = dir === "." ? [] : [`  cd ${dir}`];
  return [
    `${count} files of the template ${template} in ${target}. Next:`,
    "",
    ...(existsSync(join(PACKAGE, "dist")) ? [] : [`  npm run build --prefix ${relative(".", PACKAGE) || "."}`]),
    ...enter,
    "  npm install",
    "  npm test",
    "  npm run dev                   # README.md has a request to send",
    "  npm run deploy -- --dry-run   # checks, and shows what would be uploaded",
  ].join("\n");
}

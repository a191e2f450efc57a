/**
 * A project's Workers in miniflare, as their wrangler.toml says: real assets, buckets, service bindings and rate limits.
 * Bundled by esbuild as wrangler does it, with .wasm files beside the bundle.
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions as optionsOf } from "wrangler";
import type { Project } from "./project.ts";

export interface Edge {
  readonly miniflare: Miniflare;
  /** Where the first Worker is called. */
  readonly url: URL;
  /** Lines that Workers have logged. */
  readonly log: readonly string[];
  /** Calls the first Worker over the network, as everybody does. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** POSTs JSON. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Wrangler's configurations, the first of them for the Worker that is called; @param vars further variables of that one */
export async function edge(
  { folder }: Project,
  configs: readonly string[] = ["wrangler.toml"],
  vars: Readonly<Record<string, string>> = {},
): Promise<Edge> {
  const workers = await Promise.all(configs.map((config) => worker(folder, config)));
  Object.assign((workers[0] as { bindings: object }).bindings, vars);
  const log: string[] = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      log: new Log(LogLevel.NONE),
      handleStructuredLogs: ({ message }: { message: string }) => void log.push(message),
      workers,
    } as never),
  );
  const url = await miniflare.ready;
  const call = (path: string, init?: RequestInit): Promise<Response> => fetch(new URL(path, url), init);
  return {
    miniflare,
    url,
    log,
    fetch: call,
    post: (path, body, headers = {}) =>
      call(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) }),
    [Symbol.asyncDispose]: () => miniflare.dispose(),
  };
}

async function worker(folder: string, config: string): Promise<object> {
  const { workerOptions, main } = optionsOf(join(folder, config));
  const outdir = join(folder, ".edge", config.replaceAll("/", "-"));
  await build({
    entryPoints: [main!],
    outdir,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    loader: { ".wasm": "copy" },
    logLevel: "silent",
    absWorkingDir: dirname(join(folder, config)),
  });
  const files = (await readdir(outdir)).sort((a) => (a.endsWith(".js") ? -1 : 1));
  const modules = await Promise.all(
    files.map(async (file) => ({
      type: file.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
      path: join(outdir, file),
      contents: await readFile(join(outdir, file)),
    })),
  );
  const name = /^name = "(.*)"/m.exec(await readFile(join(folder, config), "utf8"))![1]!;
  return { ...workerOptions, name, modules, modulesRoot: outdir };
}

/**
 * Workers in workerd itself: one process, one isolate, its own HTTP server, as the platform runs them. Not `wrangler dev`,
 * whose proxy stands between client and Worker in a process of its own (a small refusal took 6.4 ms by it, and 1.0 ms here).
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { rolldown } from "rolldown";
import { FathomError } from "../engine/errors.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Where Workers are bundled to; its script is embedded from there. */
const BUILD = join(ROOT, "build");

/** The program, of the version that wrangler brings. */
const { default: PROGRAM } = createRequire(import.meta.url)("workerd") as { readonly default: string };

/** What wrangler.toml says of them, too. */
const COMPATIBILITY = { date: "2026-10-20", flags: ["enable_request_signal"] };

/** The file descriptor on which workerd says where it listens. */
const CONTROL_FD = 3;

/** A server that answers. */
export interface Served {
  readonly url: URL;
  readonly pid: number;
  end(): Promise<void>;
}

/** The Worker of this repository with its models, as it is deployed or as `wrangler dev` runs it (worker/local.ts). */
export async function serveWorker(build: "deploy" | "dev"): Promise<Served> {
  const env = { ...process.env, WRANGLER_COMMAND: build };
  await promisify(execFile)(process.execPath, [join(ROOT, "build-worker.ts")], { cwd: ROOT, env });
  return start("fathom", {
    script: "worker.js",
    wasm: ["relaxed.wasm"],
    variables: { MODEL: "nano", OPEN_TO_ALL: "true" },
    assets: join(ROOT, "models"),
  });
}

/** A Worker that refuses everything at once (bare-app.ts). */
export async function serveBare(): Promise<Served> {
  await using bundle = await rolldown({ input: join(ROOT, "bench/bare-app.ts"), platform: "browser", checks: { bundlerTimings: false } });
  await bundle.write({ file: join(BUILD, "bare.js"), format: "es", minify: true });
  return start("bare", { script: "bare.js", wasm: [], variables: {} });
}

interface Parts {
  /** Files in `BUILD`. */
  readonly script: string;
  readonly wasm: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** A folder, served as the binding ASSETS. [default none] */
  readonly assets?: string;
}

async function start(name: string, parts: Parts): Promise<Served> {
  await mkdir(BUILD, { recursive: true });
  const file = join(BUILD, `${name}.${process.pid}.capnp`);
  await writeFile(file, configOf(parts));
  const child = spawn(PROGRAM, ["serve", file, "--socket-addr=http=127.0.0.1:0", `--control-fd=${CONTROL_FD}`], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const port = await portOf(child, file);
  await rm(file);
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    pid: child.pid!,
    async end() {
      process.off("exit", kill);
      const gone = once(child, "exit");
      kill();
      await gone;
    },
  };
}

/** workerd's configuration, in its own language. */
function configOf({ script, wasm, variables, assets }: Parts): string {
  const text = (value: string): string => JSON.stringify(value);
  const modules = [
    `(name = ${text(script)}, esModule = embed ${text(script)})`,
    ...wasm.map((n) => `(name = ${text(n)}, wasm = embed ${text(n)})`),
  ];
  const bindings = Object.entries(variables).map(([key, value]) => `(name = ${text(key)}, text = ${text(value)})`);
  if (assets !== undefined) bindings.push('(name = "ASSETS", service = "assets")');
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.join(", ")}],
      bindings = [${bindings.join(", ")}],
      compatibilityDate = ${text(COMPATIBILITY.date)},
      compatibilityFlags = [${COMPATIBILITY.flags.map(text).join(", ")}],
    )),${assets === undefined ? "" : `\n    (name = "assets", disk = (path = ${text(assets)})),`}
  ],
  sockets = [(name = "http", http = (), service = "main")],
);
`;
}

async function portOf(child: ChildProcess, file: string): Promise<number> {
  for await (const line of createInterface(child.stdio[CONTROL_FD] as Readable)) {
    const { event, port } = JSON.parse(line) as { event: string; port?: number };
    if (event === "listen" && port !== undefined) return port;
  }
  throw new FathomError("unavailable", `workerd ended before it said where it listens; \`npx workerd serve ${file}\` says why.`);
}

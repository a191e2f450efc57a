/**
 * The floors of the house: imports go down only, and the engine uses no platform global.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What each room may import, besides itself. Packages are named; a room ends with "/". */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "engine/model/": ["engine/*", "@huggingface/tokenizers", "@huggingface/jinja", "valibot"],
  "engine/port/": ["engine/*", "engine/model/", "valibot"],
  "engine/reference/": ["engine/*", "engine/model/", "engine/port/"],
  "engine/decode/": ["engine/*", "engine/model/", "engine/port/"],
  "engine/schedule/": ["engine/*", "engine/model/", "engine/port/", "engine/decode/"],
  "engine/failover/": ["engine/*", "engine/model/", "engine/port/"],
  "engine/budget/": ["engine/exit-rule.ts", "engine/errors.ts", "engine/depth-policy.ts", "engine/cpu-signal.ts"],
  "engine/index.ts": ["engine/"],
  "engine/options.ts": ["engine/*", "valibot"],
  "engine/": ["engine/model/"],
  "wasm/": ["engine/*", "engine/model/", "engine/port/", "node:", "assemblyscript", "valibot"],
  "kernels/": ["engine/*", "engine/model/", "engine/port/", "engine/decode/", "engine/failover/", "node:", "webgpu"],
  "onnx/": ["engine/*", "engine/model/", "engine/port/", "onnxruntime-web", "protobufjs", "onnx-proto", "@bufbuild/protobuf", "node:"],
  "worker/": ["engine/", "wasm/", "kernels/", "onnx/", "hono", "valibot", "cloudflare:"],
  "worker/onnx.ts": ["engine/", "onnx/", "worker/", "onnxruntime-web", "cloudflare:"],
  "cli/": ["engine/", "wasm/", "kernels/", "onnx/", "worker/", "bench/", "node:", "citty", "cli-progress", "hono", "@hono/node-server"],
};

const PLATFORM_GLOBALS = /\b(Date|performance|fetch|process|setTimeout|setInterval|navigator|console|crypto)\b\s*[.(]/;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ["assembly", "build", "node_modules", "peers"].includes(entry.name) ? [] : sources(path);
    return /\.(ts|mts)$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

function roomOf(file: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .sort((a, b) => b.length - a.length)
    .find((room) => file.startsWith(room));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found = text.matchAll(/(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|(?:^|\n)\s*import\s+"([^"]+)"|import\("([^"]+)"\)/g);
  return [...found].map((m) => {
    const target = (m[1] ?? m[2] ?? m[3])!;
    return target.startsWith(".") ? normalize(join(dirname(file), target)) : target;
  });
}

function allowed(room: string, target: string): boolean {
  if (target.startsWith(room) && (room !== "engine/" || !target.slice(room.length).includes("/"))) return true;
  return MAY_IMPORT[room]!.some((entry) => {
    if (entry.endsWith("/*")) return target.startsWith(entry.slice(0, -1)) && !target.slice(entry.length - 1).includes("/");
    return target === entry || target.startsWith(entry.endsWith("/") || entry.endsWith(":") ? entry : `${entry}/`);
  });
}

const files = Object.keys(MAY_IMPORT)
  .map((room) => room.split("/")[0]!)
  .filter((folder, i, all) => all.indexOf(folder) === i)
  .filter((folder) => readdirSync(ROOT).includes(folder))
  .flatMap(sources);

describe("the floors", () => {
  it("are imported downwards only", () => {
    const upward = files.flatMap((file) => {
      const room = roomOf(file)!;
      return importsOf(file)
        .filter((target) => !allowed(room, target))
        .map((target) => `${file} imports ${target}`);
    });
    expect(upward).toEqual([]);
  });

  it("keep platform globals out of the engine", () => {
    const uses = files
      .filter((file) => file.startsWith("engine/"))
      .flatMap((file) =>
        readFileSync(join(ROOT, file), "utf8")
          .split("\n")
          .flatMap((line, i) =>
            PLATFORM_GLOBALS.test(line.replace(/\/\/.*|^\s*\/?\*.*|"[^"]*"|`[^`]*`/g, "")) ? [`${file}:${i + 1}: ${line.trim()}`] : [],
          ),
      );
    expect(uses).toEqual([]);
  });

  it("never refer to files outside the repository", () => {
    const outside = files.flatMap((file) => importsOf(file).filter((target) => relative(ROOT, join(ROOT, target)).startsWith("..")));
    expect(outside).toEqual([]);
  });
});

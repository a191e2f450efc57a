/**
 * The floors of the house: imports go down only, of types too; none go in circles; no room may import what it does not;
 * the engine uses no platform global.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { circlesOf, importsOf, ROOT, sourcesIn } from "./imports.ts";

interface Room {
  readonly floor: number;
  /** Besides itself, rooms, files and packages; "engine/*" are the files that lie loose in engine/. */
  readonly may: readonly string[];
}

/** A file belongs to the entry with the longest fitting name. Rooms of one floor import each other in one direction. */
const ROOMS: Readonly<Record<string, Room>> = {
  "engine/": { floor: 0, may: ["valibot"] },
  "engine/model/": { floor: 0, may: ["engine/*", "@huggingface/tokenizers", "@huggingface/jinja", "valibot"] },
  "engine/port/": { floor: 1, may: ["engine/*", "engine/model/", "valibot"] },
  "engine/reference/": { floor: 1, may: ["engine/*", "engine/model/", "engine/port/"] },
  "engine/budget/": {
    floor: 2,
    may: ["engine/exit-rule.ts", "engine/errors.ts", "engine/depth-policy.ts", "engine/decision-policy.ts", "engine/cpu-signal.ts"],
  },
  "engine/decode/": { floor: 2, may: ["engine/*", "engine/model/", "engine/port/"] },
  "engine/schedule/": { floor: 2, may: ["engine/*", "engine/model/", "engine/port/"] },
  "engine/decide/": { floor: 2, may: ["engine/*", "engine/model/", "engine/port/", "engine/decode/"] },
  "engine/failover/": { floor: 2, may: ["engine/*", "engine/model/", "engine/port/"] },
  "engine/index.ts": { floor: 2, may: ["engine/"] },
  "wasm/": { floor: 3, may: ["engine/*", "engine/model/", "engine/port/", "valibot", "node:", "assemblyscript"] },
  "kernels/": {
    floor: 3,
    may: ["engine/*", "engine/model/", "engine/port/", "engine/failover/", "node:", "webgpu"],
  },
  "onnx/": { floor: 3, may: ["engine/*", "engine/model/", "engine/port/", "onnxruntime-web", "@bufbuild/protobuf"] },
  "folders/": { floor: 3, may: ["engine/*", "engine/model/"] },
  "worker/": { floor: 4, may: ["engine/", "wasm/", "folders/", "hono", "valibot", "cloudflare:", "openai"] },
  "worker/onnx.ts": { floor: 4, may: ["engine/", "onnx/", "worker/", "onnxruntime-web", "cloudflare:"] },
  "cli/": {
    floor: 4,
    may: ["engine/", "wasm/", "kernels/", "onnx/", "worker/", "node:", "citty", "cli-progress", "hono", "@hono/node-server"],
  },
  // starts a checkout's entry or the package's
  "cli/fathom.mjs": { floor: 6, may: ["bench/", "cli/", "node:"] },
  "bench/": { floor: 5, may: ["engine/", "wasm/", "kernels/", "onnx/", "worker/", "cli/", "node:", "echarts", "rolldown", "wrangler"] },
  "bench/bare-app.ts": { floor: 5, may: ["hono"] },
  "bench/bare-server.ts": { floor: 5, may: ["bench/", "cli/", "node:", "@hono/node-server"] },
  "bench/peers/": { floor: 5, may: ["bench/", "wasm/", "node:", "onnxruntime-web", "node-llama-cpp", "@wllama/wllama"] },
  "examples/": { floor: 5, may: ["engine/", "wasm/", "kernels/", "folders/", "node:", "esbuild"] },
  // projects of their own, which have the package as users have it
  "examples/hono/": { floor: 5, may: ["fathom-edge", "hono"] },
  "examples/service-binding/": { floor: 5, may: ["fathom-edge"] },
  "examples/keys/": { floor: 5, may: ["fathom-edge", "cloudflare:"] },
  "examples/r2/": { floor: 5, may: ["fathom-edge"] },
  "examples/openai/": { floor: 5, may: ["fathom-edge", "openai"] },
  "examples/ai-sdk/": { floor: 5, may: ["fathom-edge", "ai", "@ai-sdk/openai-compatible"] },
  "examples/langchain/": { floor: 5, may: ["@langchain/openai"] },
  "examples/node/": { floor: 5, may: ["fathom-edge"] },
  "examples/deno/": { floor: 5, may: ["fathom-edge"] },
  "examples/browser-npm/": { floor: 5, may: ["fathom-edge"] },
};

/**
 * What the rules above do not allow yet. It can only shrink: an entry that is no longer there fails the test, too.
 */
const KNOWN_UPWARD: readonly string[] = [];
const KNOWN_CIRCLES: readonly (readonly string[])[] = [];

const PLATFORM_GLOBALS = /\b(Date|performance|fetch|process|setTimeout|setInterval|navigator|console|crypto)\b\s*[.(]/;

const product = [...new Set(Object.keys(ROOMS).map((room) => room.split("/")[0]!))].flatMap(sourcesIn);
const graph = new Map([...product, ...sourcesIn("test")].map((file) => [file, importsOf(file)]));

function roomOf(path: string): string | undefined {
  return Object.keys(ROOMS)
    .toSorted((a, b) => b.length - a.length)
    .find((room) => path.startsWith(room));
}

function matches(permission: string, target: string): boolean {
  if (permission.endsWith("/*")) return target.startsWith(permission.slice(0, -1)) && !target.slice(permission.length - 1).includes("/");
  return target === permission || target.startsWith(/[/:]$/.test(permission) ? permission : `${permission}/`);
}

const isAllowed = (room: string, target: string): boolean => roomOf(target) === room || ROOMS[room]!.may.some((p) => matches(p, target));

describe("the floors", () => {
  it("are imported downwards only", () => {
    const upward = product.flatMap((file) =>
      graph
        .get(file)!
        .filter((target) => !isAllowed(roomOf(file)!, target))
        .map((target) => `${file} imports ${target}`),
    );
    expect(upward).toEqual(KNOWN_UPWARD);
  });

  it("have rules that go down themselves", () => {
    const wrong = Object.entries(ROOMS).flatMap(([room, { floor, may }]) =>
      may.flatMap((permission) => {
        const target = roomOf(permission.replace(/\*$/, ""));
        if (target === undefined || target === room) return [];
        const back = ROOMS[target]!.floor === floor && ROOMS[target]!.may.some((p) => matches(p, room));
        return ROOMS[target]!.floor > floor || back ? [`${room} may import ${permission}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("have no rule that nobody uses", () => {
    const used = (room: string, permission: string): boolean =>
      product.some((file) => roomOf(file) === room && graph.get(file)!.some((target) => matches(permission, target)));
    const unused = Object.entries(ROOMS).flatMap(([room, { may }]) =>
      may.filter((permission) => !used(room, permission)).map((permission) => `${room} may import ${permission}, and does not`),
    );
    expect(unused).toEqual([]);
  });

  it("have no circle of imports", () => {
    expect(circlesOf(graph)).toEqual(KNOWN_CIRCLES);
  });

  it("keep tests out of the product, and everything inside the repository", () => {
    const wrong = product.flatMap((file) =>
      graph
        .get(file)!
        .filter((target) => /^(test\/|\.\.)/.test(target))
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("keep platform globals out of the engine", () => {
    const uses = product
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
});

describe("what these rules see", () => {
  it("is every form of import, of types too", () => {
    const text = [
      'import { a } from "./a.ts";',
      'import type { B } from "../b.ts";',
      'export { c,\n  type D } from "./c.ts";',
      'import "./d.ts";',
      'const e = await import("./e.ts");',
      'type F = import("./f.ts").F;',
      'const g = new URL("g.ts", import.meta.url);',
      'import { h } from "package/h";',
    ].join("\n");
    expect(importsOf("room/file.ts", text)).toEqual([
      "room/a.ts",
      "b.ts",
      "room/c.ts",
      "room/d.ts",
      "room/e.ts",
      "room/f.ts",
      "g.ts",
      "package/h",
    ]);
  });

  it("is every circle, whole", () => {
    const edges: [string, string[]][] = [
      ["a", ["b"]],
      ["b", ["c", "d"]],
      ["c", ["a"]],
      ["d", ["e"]],
      ["e", []],
      ["f", ["g", "outside"]],
      ["g", ["f"]],
    ];
    expect(circlesOf(new Map(edges))).toEqual([
      ["a", "b", "c"],
      ["f", "g"],
    ]);
  });
});

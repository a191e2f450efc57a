/**
 * Every folder of examples/ as whoever copies it has it: with the package as npm packs it, compiled under the strictest
 * checks, Workers in workerd with real bindings, clients of other makers against such a Worker.
 */
import { cp, readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../imports.ts";
import { edge, type Edge } from "./edge.ts";
import { project, type Project } from "./project.ts";

const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const body = (more: object = {}): object => ({ model: "nano", messages: [{ role: "user", content: QUESTION }], ...more });

/** An example's project. Its Workers find the models beside them, as `npm run assets` leaves them. */
async function example(name: string, packages: readonly string[] = []): Promise<Project> {
  const made = await project({ from: join(ROOT, "examples", name), packages: ["@cloudflare/workers-types", "@types/node", ...packages] });
  await cp(join(made.folder, "node_modules/fathom-edge/models"), join(made.folder, "models"), { recursive: true });
  return made;
}

describe("examples/", { timeout: 300_000 }, () => {
  it("has every folder in its README, and every folder is tried here", async () => {
    const folders = (await readdir(join(ROOT, "examples"), { withFileTypes: true })).filter((entry) => entry.isDirectory());
    const readme = await readFile(join(ROOT, "examples/README.md"), "utf8");
    const own = await readFile(new URL(import.meta.url), "utf8");
    for (const { name } of folders) {
      expect(readme).toContain(`[${name}](${name}/)`);
      if (name !== "browser") expect(own, "the playground has tests of its own").toMatch(new RegExp(`"${name}"`));
    }
  });

  it("service-binding: another Worker runs, streams and decides, typed, without HTTP", async () => {
    await using mine = await example("service-binding");
    await mine.run("tsc", "-p", ".");
    await using there = await edge(mine, ["shop.toml", "fathom.toml"]);
    expect(await (await there.fetch("/run")).json()).toEqual({ response: "Yes", iterations: expect.any(Number), limitedBy: null });
    const events = (await (await there.fetch("/stream")).text()).split("\n\n").filter(Boolean);
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(events.slice(0, -1).map((event) => JSON.parse(event.slice("data: ".length)).response).join("")).toBe("Yes"); // prettier-ignore
    expect(await (await there.fetch("/decide")).json()).toMatchObject({ type: "choice", choice: "Yes" });
  });

  it("keys: let in by digest, with ceilings, and count by real rate limits", async () => {
    await using mine = await example("keys");
    await mine.run("tsc", "-p", ".");
    await using there = await edge(mine);
    const ask = (key: string): Promise<Response> => there.post("/v1/chat/completions", body(), { authorization: `Bearer ${key}` });
    expect((await ask("other-key")).status).toBe(401);
    const shop = (await (await ask("shop-key")).json()) as any;
    const trial = (await (await ask("trial-key")).json()) as any;
    expect([shop.budget.granted.iterations, trial.budget.granted.iterations]).toEqual([32, 4]);
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await ask("trial-key")).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect((await ask("shop-key")).status).toBe(200);
  });

  it("r2: models come from a bucket by the names of their folders, and share a memory", async () => {
    await using mine = await example("r2");
    await mine.run("tsc", "-p", ".");
    await using there = await edge(mine);
    const bucket = await there.miniflare.getR2Bucket("MODELS");
    const from = join(mine.folder, "node_modules/fathom-edge/models/nano");
    for (const file of await readdir(from)) await bucket.put(`nano/${file}`, await readFile(join(from, file)));
    expect(((await (await there.post("/v1/chat/completions", body())).json()) as any).choices[0].message.content).toBe("Yes");
    expect((await there.post("/v1/chat/completions", body({ model: "nano-next" }))).status, "not uploaded yet").toBe(503);
    const { models } = (await (await there.fetch("/health")).json()) as any;
    expect(models).toMatchObject([
      { id: "nano", status: "ready" },
      { id: "nano-next", status: "failed" },
    ]);
    const limitMib = models[0].memory.limit_bytes / 2 ** 20;
    expect([limitMib > 95.9, limitMib < 96], "an isolate's, less the kernels' own").toEqual([true, true]);
  });

  it("node: a script with the engine in its own process", async () => {
    await using mine = await example("node");
    await mine.run("tsc", "-p", ".");
    const lines = (await mine.run("node", "ask.ts", QUESTION)).trim().split("\n");
    expect(lines).toHaveLength(5);
    expect(lines.at(-1)).toBe("at most 16 iterations a token: Yes");
  });

  it("browser-npm: esbuild bundles a page and everything that it fetches", async () => {
    await using mine = await example("browser-npm");
    await mine.run("tsc", "-p", ".");
    const { scripts } = JSON.parse(await readFile(join(ROOT, "examples/browser-npm/package.json"), "utf8")) as {
      scripts: { build: string };
    };
    const options = /esbuild (.*?) &&/.exec(scripts.build)![1]!.split(" ");
    await mine.run("esbuild", ...options);
    const files = await readdir(join(mine.folder, "public"));
    expect(files.filter((file) => file.endsWith(".wasm"))).toHaveLength(2);
    const code = await readFile(join(mine.folder, "public/main.js"), "utf8");
    for (const file of files.filter((name) => name.endsWith(".wasm"))) expect(code).toContain(file);
    expect(await readFile(join(mine.folder, "public/index.html"), "utf8")).toContain('src="main.js"');
  });

  it("deno: type-checks as written, and its modules are those that the package exports", async () => {
    await using mine = await example("deno");
    await mine.write({ "tsconfig.json": { compilerOptions: { target: "es2024", module: "nodenext", lib: ["es2024", "esnext.disposable", "dom", "dom.asynciterable"], types: [], strict: true, skipLibCheck: true, noEmit: true }, include: ["*.ts"] } }); // prettier-ignore
    await mine.run("tsc", "-p", ".");
  });
});

describe("clients of a Worker that has mounted the app", { timeout: 300_000 }, () => {
  let [mine, there]: [Project?, Edge?] = [];
  let close: () => void = () => undefined;
  let url = "";
  beforeAll(async () => {
    mine = await example("hono");
    there = await edge(mine);
    // Clients that know no path of their own are shown the mounted app as a whole.
    const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const headers = { "content-type": request.headers["content-type"] ?? "application/json" };
      const answer = await there!.fetch(`/ai${request.url}`, { method: request.method!, headers, ...(chunks.length > 0 && { body: Buffer.concat(chunks) }) }); // prettier-ignore
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type")! });
      response.end(Buffer.from(await answer.arrayBuffer()));
    };
    const server = createServer((request, response) => void pass(request, response).catch((error: Error) => response.destroy(error)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    close = () => void server.close();
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }, 300_000);
  afterAll(async () => {
    close();
    await there?.[Symbol.asyncDispose]();
    await mine?.[Symbol.asyncDispose]();
  });

  it("hono: the Worker's own route asks the same model; its types hold", async () => {
    await mine!.run("tsc", "-p", ".");
    expect(await (await there!.fetch("/last-digit/7/5")).json()).toEqual({ answer: "2" });
    expect((await there!.fetch("/nano/model.safetensors")).status).toBe(404);
  });

  it("hono: the API's description is beside it", async () => {
    const document = (await (await there!.fetch("/ai/openapi.json")).json()) as { openapi: string; paths: object };
    expect([document.openapi, Object.keys(document.paths)]).toEqual(["3.1.0", expect.arrayContaining(["/v1/chat/completions", "/ready"])]);
  });

  it("hono: Hono's client is typed by the app", async () => {
    await mine!.write({ "tsconfig.client.json": { extends: "./tsconfig.json", compilerOptions: { types: ["@cloudflare/workers-types", "node"] }, include: ["client.ts"] } }); // prettier-ignore
    await mine!.run("tsc", "-p", "tsconfig.client.json");
    await mine!.write({ "src/wrong.ts": WRONG });
    await expect(mine!.run("tsc", "-p", "."), "what the API does not have is an error").rejects.toThrow(
      /wrong\.ts\(4.*iteration'[\s\S]*wrong\.ts\(5.*usages/,
    );
    expect(await mine!.run("node", "client.ts", there!.url.origin)).toMatch(/^Yes after \d+ iterations of 8 a token/);
  });

  it("openai: a budget goes and comes back, typed by one import", async () => {
    await using client = await example("openai", ["openai"]);
    await client.run("tsc", "-p", ".");
    expect(await readFile(join(client.folder, "ask.ts"), "utf8")).not.toMatch(/ts-expect-error|ts-ignore|as any/);
    expect(await client.run("node", "ask.ts", url)).toMatch(/^Yes after \d+ iterations of 8 a token\nYes \(limited by nothing\)\n$/);
  });

  it("ai-sdk: a budget in providerOptions, what was spent in providerMetadata", async () => {
    await using client = await example("ai-sdk", ["ai", "@ai-sdk/openai-compatible"]);
    await client.run("tsc", "-p", ".");
    const [plain, streamed] = (await client.run("node", "ask.ts", url)).trim().split("\n");
    for (const [line, granted] of [
      [plain, { iterations: 8 }],
      [streamed, { latency_ms: 5000 }],
    ] as const) {
      expect(line).toMatch(/^Yes \{/);
      expect(JSON.parse(line!.slice("Yes ".length))).toMatchObject({ budget: { granted }, iterations: { total: expect.any(Number) }, costUsd: expect.any(Number) }); // prettier-ignore
    }
  });

  it("langchain: asks by base URL, with a budget", async () => {
    await using client = await example("langchain", ["@langchain/openai", "@langchain/core"]);
    await client.run("tsc", "-p", ".");
    expect(await client.run("node", "ask.ts", url)).toMatch(/^Yes \{.*"total_tokens":\d+.*\}\nYes\n$/);
  });
});

const WRONG = `import { hc } from "hono/client";
import type { AppType } from "./index.ts";
const client = hc<AppType>("");
export const asked = client.ai.v1.chat.completions.$post({ json: { model: "nano", messages: [], budget: { iteration: 8 } } });
export const used = asked.then(async (response) => (response.ok ? (await response.json()).usages : undefined));
`;

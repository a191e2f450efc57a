/**
 * Where a deployed Worker's weights lie: never public unless asked for, and in R2 where they are too large for an asset.
 * The package as npm packs it, in miniflare with real assets and a real bucket.
 */
import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { edge } from "./edge.ts";
import { project, type Project } from "./project.ts";

const QUESTION = { model: "nano", messages: [{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }] };

const WORKER = (options = ""): string => `
import { createApp } from "fathom-edge/worker";
import { assetsFolder, once } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";
import { loadModel } from "fathom-edge/engine";

const nano = once(({ ASSETS }, signal, origin) => loadModel(assetsFolder(ASSETS, "nano", { signal, origin${options} }), createWorkerBackend));
export default createApp({ model: nano });
`;

const CONFIG = (assets: string): string => `
name = "mine"
main = "src/index.ts"
compatibility_date = "2026-10-20"

[assets]
directory = "models"
binding = "ASSETS"
${assets}
`;

async function withAssets(mine: Project, assets: string, options?: string): Promise<void> {
  await mine.write({ "wrangler.toml": CONFIG(assets), "src/index.ts": WORKER(options) });
  await cp(join(mine.folder, "node_modules/fathom-edge/models"), join(mine.folder, "models"), { recursive: true });
}

const answerOf = async (response: Response): Promise<string> => ((await response.json()) as any).choices[0].message.content;

describe("weights among the assets", { timeout: 240_000 }, () => {
  it("are refused where assets answer before the Worker, and the log says what to write where", async () => {
    await using mine = await project();
    await withAssets(mine, "");
    await using there = await edge(mine);
    expect((await there.fetch("/nano/config.json")).status, "the files are public indeed").toBe(200);
    const response = await there.post("/v1/chat/completions", QUESTION);
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain("run_worker_first");
    expect(there.log.join("\n")).toMatch(/model's files are public: http\S+\/nano\/config\.json .*run_worker_first = true in \[assets\]/);
  });

  it("answer, and are nobody's, where the Worker comes first", async () => {
    await using mine = await project();
    await withAssets(mine, "run_worker_first = true");
    await using there = await edge(mine);
    expect(await answerOf(await there.post("/v1/chat/completions", QUESTION))).toBe("Yes");
    for (const file of await readdir(join(mine.folder, "models/nano"))) expect((await there.fetch(`/nano/${file}`)).status, file).toBe(404);
    expect(there.log.join("\n")).toBe("");
  });

  it("may be public where the Worker says so", async () => {
    await using mine = await project();
    await withAssets(mine, "", ", isPublic: true");
    await using there = await edge(mine);
    expect(await answerOf(await there.post("/v1/chat/completions", QUESTION))).toBe("Yes");
    expect((await there.fetch("/nano/config.json")).status).toBe(200);
  });
});

describe("weights in a bucket", { timeout: 240_000 }, () => {
  const R2 = `
import { createApp } from "fathom-edge/worker";
import { once, r2Folder } from "fathom-edge/worker/model-source";
import { createWorkerBackend } from "fathom-edge/worker/wasm-backend";
import { loadModel } from "fathom-edge/engine";

const nano = once(({ MODELS }, signal) => loadModel(r2Folder(MODELS, "v1/nano", { signal }), createWorkerBackend));
export default createApp({ model: nano });
`;

  it("are streamed and checked against the card's digests; a damaged file is refused by name", async () => {
    await using mine = await project();
    const config = CONFIG("").replace(/\[assets\][\s\S]*/, '[[r2_buckets]]\nbinding = "MODELS"\nbucket_name = "models"\n');
    await mine.write({ "wrangler.toml": config, "src/index.ts": R2 });
    const from = join(mine.folder, "node_modules/fathom-edge/models/nano");
    for (const damage of [false, true]) {
      await using there = await edge(mine);
      const bucket = await there.miniflare.getR2Bucket("MODELS");
      for (const file of await readdir(from)) {
        const content = await readFile(join(from, file));
        if (damage && file === "model.safetensors") content[300_000]! ^= 1;
        await bucket.put(`v1/nano/${file}`, content);
      }
      const response = await there.post("/v1/chat/completions", QUESTION);
      if (!damage) expect(await answerOf(response)).toBe("Yes");
      else {
        expect(response.status).toBe(503);
        expect(there.log.join("\n")).toMatch(/v1\/nano\/model\.safetensors has SHA-256 \w+, but card\.json lists/);
      }
    }
  });
});

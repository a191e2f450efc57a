/**
 * The package outside of Workers: bundled for pages by esbuild and by Vite, and on plain Node. The bundles run, as far as
 * a page's code runs on Node, against a server of files.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { build as vite } from "vite";
import { describe, expect, it } from "vitest";
import { project } from "./project.ts";

/** Serves a folder's files until it is disposed of. */
async function serving(folder: string): Promise<{ url: string; asked: string[] } & AsyncDisposable> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url!);
    readFile(join(folder, request.url!)).then(
      (content) =>
        response.writeHead(200, { "content-type": request.url!.endsWith(".wasm") ? "application/wasm" : "text/plain" }).end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const PAGE = (wasm: string): string => `
import { answer, loadModel } from "fathom-edge/engine";
import { urlFolder } from "fathom-edge/folders";
import { browserWasm } from "fathom-edge/wasm/browser";

export async function ask(base) {
  const model = await loadModel(urlFolder(base + "/node_modules/fathom-edge/models/nano"), browserWasm(${wasm}));
  const { card, text } = model;
  const prompt = text.encodeChat([{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }]);
  let said = "";
  const options = { prompt, maxTokens: card.maxCompletionTokens, iterations: card.iterations, exit: card.exitRule, cache: card.cacheStrategy };
  for await (const piece of answer(model, options)) said += piece.text;
  return said;
}
`;

describe("a page's bundle", { timeout: 240_000 }, () => {
  it("by esbuild loads the shipped model by URLs and answers", async () => {
    await using mine = await project();
    await mine.write({ "page.js": PAGE('{ relaxed: base + "/node_modules/fathom-edge/dist/wasm/build/relaxed.wasm" }') });
    const outfile = join(mine.folder, "out.js");
    const { metafile } = await build({ entryPoints: [join(mine.folder, "page.js")], bundle: true, format: "esm", outfile, metafile: true });
    expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter(({ external }) => external))).toEqual([]);
    await using files = await serving(mine.folder);
    const { ask } = (await import(outfile)) as { ask(base: string): Promise<string> };
    expect(await ask(files.url)).toBe(" Yes");
  });

  it("by Vite brings the Wasm builds along", async () => {
    await using mine = await project();
    await mine.write({ "page.js": PAGE("") });
    const result = (await vite({
      root: mine.folder,
      logLevel: "silent",
      configFile: false,
      build: {
        write: false,
        assetsInlineLimit: 0,
        rollupOptions: { input: join(mine.folder, "page.js"), preserveEntrySignatures: "strict" },
      },
    })) as any;
    const output = [result].flat().flatMap(({ output }) => output) as { fileName: string; type: string }[];
    const builds = output.filter(({ fileName }) => fileName.endsWith(".wasm")).map(({ fileName }) => fileName);
    expect(
      builds.map((name) => /(relaxed|simd)[\w-]*\.wasm$/.exec(name)?.[1] ?? name).sort(),
      output.map(({ fileName }) => fileName).join(", "),
    ).toEqual(["relaxed", "simd"]);
  });

  it("names the build that it cannot have, and what to do", async () => {
    await using mine = await project();
    await mine.write({ "page.js": PAGE('{ relaxed: base + "/none.wasm" }') });
    const outfile = join(mine.folder, "out.js");
    await build({ entryPoints: [join(mine.folder, "page.js")], bundle: true, format: "esm", outfile });
    await using files = await serving(mine.folder);
    const { ask } = (await import(outfile)) as { ask(base: string): Promise<string> };
    await expect(ask(files.url)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /none\.wasm cannot be used: the server answers with status 404\. .*browserWasm\(\{ relaxed, simd \}\)/,
      ),
    });
  });
});

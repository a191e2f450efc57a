/** `fathom serve --playground` from the package: the page finds every module, package and build that it imports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { project } from "./project.ts";

/** Starts the package's own command on a free port. @returns the playground's URL, and how to end it */
async function servePlayground(folder: string): Promise<{ url: string; [Symbol.asyncDispose](): Promise<void> }> {
  const program = join(folder, "node_modules/fathom-edge/cli/fathom.mjs");
  const server = spawn(process.execPath, [program, "serve", "--playground", "--backend", "wasm", "--port", "0"], { cwd: folder });
  const end = async (): Promise<void> => {
    server.kill();
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
  };
  const written: string[] = [];
  server.stderr.on("data", (chunk) => written.push(String(chunk)));
  for await (const line of createInterface(server.stdout)) {
    written.push(line);
    const url = /http:\S+\/playground\//.exec(line)?.[0];
    if (url !== undefined) return { url, [Symbol.asyncDispose]: end };
  }
  await end();
  throw new Error(`No playground is served:\n${written.join("\n")}`);
}

/** Fetches a module and all that it imports by a relative path. @returns status by URL */
async function crawl(start: string): Promise<Map<string, number>> {
  const statuses = new Map<string, number>();
  const open = [start];
  for (let url = open.pop(); url !== undefined; url = open.pop()) {
    if (statuses.has(url)) continue;
    const response = await fetch(url);
    statuses.set(url, response.status);
    for (const [, name] of (await response.text()).matchAll(/["'](\.\.?\/[^"']+\.js)["']/g)) open.push(new URL(name!, url).href);
  }
  return statuses;
}

describe("the playground of the package", { timeout: 240_000 }, () => {
  it("serves every module that its page reaches", async () => {
    await using mine = await project();
    await using served = await servePlayground(mine.folder);
    const statuses = await crawl(`${served.url}modules/examples/browser/engine.js`);
    expect([...statuses].filter(([, status]) => status !== 200)).toEqual([]);
    expect(statuses.size).toBeGreaterThan(10);
  });
});

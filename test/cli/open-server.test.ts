/** Servers without keys: fine for this machine alone, refused where others reach them, unless it is said to be meant. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { refuseOpen } from "../../cli/open-server.ts";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The first line that a command writes to stdout, or all of its stderr where it ends without one. */
async function firstWords(script: string, ...args: readonly string[]): Promise<{ line?: string; status?: number | null; words?: string }> {
  const child = spawn(process.execPath, [file(script), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const stderr = child.stderr.toArray();
  for await (const line of createInterface(child.stdout)) {
    child.kill("SIGKILL");
    return { line };
  }
  const words = (await stderr).join("");
  if (child.exitCode === null) await once(child, "exit");
  return { status: child.exitCode, words };
}

describe("a server without keys", { timeout: 60_000 }, () => {
  it.each(["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])("may listen on %s, which is this machine", async (address) => {
    await expect(refuseOpen(address, "give keys")).resolves.toBeUndefined();
  });

  it.each(["0.0.0.0", "::", "[::]", "192.168.1.5", "10.0.0.1", "203.0.113.7", "fe80::1", "::ffff:203.0.113.7"])(
    "may not listen on %s, where others are",
    async (address) => {
      await expect(refuseOpen(address, "give keys")).rejects.toMatchObject({
        code: "invalid_request",
        param: "--host",
        message: expect.stringMatching(/without a key.*; give keys\.$/),
      });
    },
  );

  it("leaves a name that has no address to whoever listens there", async () => {
    await expect(refuseOpen("nowhere.invalid", "give keys")).resolves.toBeUndefined();
  });

  it.each([
    ["cli/fathom.mjs", ["serve", "--backend", "wasm"], /fathom serve: .*--api-keys, or --open/],
    ["cli/start.ts", [], /npm start: .*--open/],
  ] as const)("%s does not start on every address", async (script, args, message) => {
    const { line, status, words } = await firstWords(script, ...args, "--host", "0.0.0.0", "--port", "0");
    expect(line).toBeUndefined();
    expect(status).toBe(2);
    expect(words).toMatch(message);
  });

  it.each([["--open"], ["--api-keys", "a-key"]])("fathom serve starts there with %s", async (...way) => {
    const { line } = await firstWords("cli/fathom.mjs", "serve", "--backend", "wasm", "--host", "0.0.0.0", "--port", "0", ...way);
    expect(line).toMatch(/^Fathom serves nano on the wasm backend at http:\/\/0\.0\.0\.0:\d+$/);
  });
});

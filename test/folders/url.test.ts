/** A folder behind a URL: what breaks off midway goes on where it stopped, if it is still the same file. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { urlFolder } from "../../folders/url.ts";
import { serveFiles, type FolderServer } from "./server.ts";

const WEIGHTS = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
let server: FolderServer;

beforeEach(async () => {
  server = await serveFiles({ "model.safetensors": WEIGHTS });
});
afterEach(() => server.close());

async function readAll(): Promise<Uint8Array> {
  const source = await urlFolder(server.url).open("model.safetensors");
  const parts: Uint8Array[] = [];
  for await (const chunk of source!.open()) parts.push(chunk.slice());
  return new Uint8Array(Buffer.concat(parts));
}

describe("a body that breaks off", () => {
  it("goes on by range requests, so that every byte comes once and in order", async () => {
    server.breakAfter = 70_000;
    expect(Buffer.compare(await readAll(), WEIGHTS)).toBe(0);
    const [first, ...others] = server.requests;
    expect(first).toBe("model.safetensors");
    expect(others.length).toBeGreaterThanOrEqual(4);
    const begins = others.map((request) => Number(request.split(" from ")[1]));
    expect(begins).toEqual(begins.toSorted((a, b) => a - b));
  });

  it("ends where another file has come in its place", async () => {
    server.breakAfter = 70_000;
    const source = await urlFolder(server.url).open("model.safetensors");
    server.files = { "model.safetensors": WEIGHTS.slice().reverse() };
    await expect(
      (async () => {
        for await (const _ of source!.open()) continue;
      })(),
    ).rejects.toMatchObject({ code: "unavailable", isTransient: true });
  });

  it.each(["hasRanges", "hasTags"] as const)("ends where the server lacks what it takes (%s)", async (lacks) => {
    server.breakAfter = 70_000;
    server[lacks] = false;
    await expect(readAll()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    expect(server.requests).toEqual(["model.safetensors"]);
  });

  it("ends after three tries without a byte", async () => {
    server.breakAfter = 70_000;
    const source = await urlFolder(server.url).open("model.safetensors");
    server.breakAfter = 0;
    const reading = (async () => {
      for await (const _ of source!.open()) continue;
    })();
    await expect(reading).rejects.toMatchObject({ code: "unavailable", isTransient: true });
    expect(new Set(server.requests)).toEqual(new Set(["model.safetensors", "model.safetensors from 70000"]));
    expect(server.requests.length).toBeLessThanOrEqual(7); // each may be sent twice by Node
  });
});

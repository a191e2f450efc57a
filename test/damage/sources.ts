/**
 * The ways on which a model folder reaches a loader, over the same files in memory: a disk, an ASSETS binding, HTTP.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFolder } from "../../cli/files.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { urlFolder } from "../../folders/url.ts";
import type { Files } from "./damages.ts";

export interface Sources {
  readonly names: readonly ("disk" | "assets" | "http")[];
  folder(name: "disk" | "assets" | "http", files: Files): ModelFolder;
  close(): void;
}

/** Named so that it is not type-checked here: its types are workerd's. */
const WORKER_SOURCE: string = "../../worker/model-source.ts";

const silent = (): void => undefined;

export async function openSources(): Promise<Sources> {
  const { assetsFolder } = (await import(WORKER_SOURCE)) as { assetsFolder(assets: object, path: string): ModelFolder };
  const root = mkdtempSync(join(tmpdir(), "fathom-damage-"));
  let served: Files = {};
  const server = createServer((request, response) => {
    const bytes = served[request.url!.slice(1)];
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const folders = {
    disk(files: Files): ModelFolder {
      const path = join(root, "model");
      rmSync(path, { recursive: true, force: true });
      mkdirSync(path);
      for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
      return diskFolder(path, silent);
    },
    assets: (files: Files): ModelFolder => ({ ...assetsFolder(assetsOf(files), "model"), notice: silent }),
    http(files: Files): ModelFolder {
      served = files;
      return urlFolder(url, { notice: silent });
    },
  };
  return {
    names: ["disk", "assets", "http"],
    folder: (name, files) => folders[name](files),
    close() {
      server.close();
      server.closeAllConnections();
      rmSync(root, { recursive: true });
    },
  };
}

/** Answers as an ASSETS binding does; Node's own byte streams lack workerd's `readAtLeast`. */
function assetsOf(files: Files): object {
  return {
    async fetch(url: string) {
      const bytes = files[url.split("/").at(-1)!];
      if (bytes === undefined) return new Response(null, { status: 404 });
      let at = 0;
      const reader = {
        async readAtLeast(count: number, into: Uint8Array) {
          const part = bytes.subarray(at, at + Math.min(count, into.length));
          at += part.length;
          const value = new Uint8Array(into.buffer, 0, part.length);
          value.set(part);
          return { done: part.length < count, value };
        },
        cancel: async () => undefined,
      };
      const headers = new Headers({ "content-length": String(bytes.length) });
      return { ok: true, status: 200, headers, body: { getReader: () => reader, cancel: reader.cancel } };
    },
  };
}

/**
 * A server of one folder's files that has ranges and entity tags, as object stores do, counts what it is asked for, and may
 * break off midway.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export type Files = Record<string, Uint8Array>;

export interface FolderServer {
  readonly url: string;
  /** What is served; may be changed. */
  files: Files;
  /** `file` or `file from BYTE`, in the order of requests. */
  readonly requests: string[];
  /** A response is cut after so many bytes. */
  breakAfter: number;
  /** Responses that are cut; those after them come whole. */
  breaks: number;
  hasRanges: boolean;
  /** Says that it has ranges, and answers every request with the whole file. */
  ignoresRanges: boolean;
  /** Answers a range that begins so many bytes further on. */
  rangesOffBy: number;
  hasTags: boolean;
  close(): void;
}

export async function serveFiles(files: Files): Promise<FolderServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const file = request.url!.slice("/model/".length);
    const bytes = served.files[file];
    if (bytes === undefined) return void response.writeHead(404).end();
    const etag = tagOf(bytes);
    const asked = rangeOf(request.headers, etag);
    const from = served.hasRanges && !served.ignoresRanges && asked > 0 ? asked + served.rangesOffBy : 0;
    requests.push(from === 0 ? file : `${file} from ${from}`);
    response.writeHead(from === 0 ? 200 : 206, {
      "content-length": bytes.length - from,
      ...(from > 0 && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
      ...(served.hasTags && { etag }),
      ...(served.hasRanges && { "accept-ranges": "bytes" }),
    });
    const end = served.breaks-- > 0 ? Math.min(bytes.length, from + served.breakAfter) : bytes.length;
    response.flushHeaders();
    response.write(bytes.subarray(from, end), () => (end < bytes.length ? response.destroy() : response.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const served: FolderServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model`,
    files,
    requests,
    breakAfter: Infinity,
    breaks: Infinity,
    hasRanges: true,
    ignoresRanges: false,
    rangesOffBy: 0,
    hasTags: true,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return served;
}

const tags = new WeakMap<Uint8Array, string>();

function tagOf(bytes: Uint8Array): string {
  if (!tags.has(bytes)) tags.set(bytes, `"${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}"`);
  return tags.get(bytes)!;
}

function rangeOf({ range, "if-range": tag }: IncomingHttpHeaders, etag: string): number {
  if (tag !== undefined && tag !== etag) return 0;
  return Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
}

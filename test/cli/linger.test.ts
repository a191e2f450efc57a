/**
 * The Node host: a refusal that is given before the body was read arrives all the same, and the connection lives on.
 */
import { once } from "node:events";
import { connect, type AddressInfo } from "node:net";
import { serve, type ServerType } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lingering } from "../../cli/linger.ts";
import { loadNodeModel } from "../../cli/models.ts";
import { createApp } from "../../worker/app.ts";

let server: ServerType;
let port: number;

beforeAll(async () => {
  const app = createApp({ model: await loadNodeModel("nano", "wasm"), apiKeys: ["k"] });
  server = serve({ fetch: lingering(app.fetch), autoCleanupIncoming: false, port: 0, hostname: "127.0.0.1" });
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());

/** Sends all of a request before it reads anything, as many clients do; the status line and whether the connection was reset. */
async function sendThenRead(head: string, bodyBytes: number): Promise<{ status: string; error: string | undefined }> {
  const socket = connect(port, "127.0.0.1");
  let error: string | undefined;
  socket.on("error", (e: NodeJS.ErrnoException) => (error = e.code));
  socket.pause();
  socket.write(`${head}\r\nContent-Length: ${bodyBytes}\r\n\r\n`);
  let goOn = (): void => undefined;
  for (const event of ["drain", "close"]) socket.on(event, () => goOn());
  const piece = Buffer.alloc(1 << 16, "a");
  for (let left = bodyBytes; left > 0 && !socket.destroyed; left -= piece.length)
    if (!socket.write(piece.subarray(0, left))) await new Promise<void>((resolve) => (goOn = resolve));
  let text = "";
  socket.on("data", (data) => {
    text += data.toString();
    if (text.includes("\r\n\r\n")) socket.end();
  });
  socket.resume();
  await once(socket, "close");
  return { status: text.split("\r\n")[0]!, error };
}

const post = (path: string, key = "k"): string =>
  `POST ${path} HTTP/1.1\r\nHost: fathom\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json`;

describe("a refusal before the body was read", () => {
  it.each([
    ["a body that is too large", post("/v1/chat/completions"), "HTTP/1.1 413 Payload Too Large"],
    ["a wrong key", post("/v1/chat/completions", "no"), "HTTP/1.1 401 Unauthorized"],
    ["a path that is not there", post("/v1/images"), "HTTP/1.1 404 Not Found"],
    ["a compressed body", `${post("/v1/completions")}\r\nContent-Encoding: gzip`, "HTTP/1.1 415 Unsupported Media Type"],
  ])("arrives, for %s", async (_, head, status) => {
    for (const bytes of [1_500_000, 8_000_000]) expect(await sendThenRead(head, bytes)).toEqual({ status, error: undefined });
  });

  it("arrives while the body is still on its way, on a connection that goes on", async () => {
    const socket = connect(port, "127.0.0.1");
    socket.write(`${post("/v1/chat/completions")}\r\nContent-Length: 1000000\r\n\r\n{`);
    let text = "";
    for await (const data of socket) if ((text += String(data)).includes("request_too_large")) break;
    expect(text).toMatch(/^HTTP\/1.1 413 [^]*Connection: keep-alive/i);
    socket.destroy();
  });

  it.each([1.5, 8])("arrives on connections that are used again, for bodies of %d MB, announced or not", async (megabytes) => {
    const body = new Uint8Array(megabytes * 1e6).fill(97);
    for (const made of [() => body, () => new Blob([body]).stream()])
      for (let i = 0; i < 8; i++) {
        const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: "Bearer k", "content-type": "application/json" },
          body: made(),
          duplex: "half",
        } as RequestInit);
        expect([response.status, ((await response.json()) as any).error.code]).toEqual([413, "request_too_large"]);
      }
  });
});

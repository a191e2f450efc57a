/**
 * Serving on a port of this machine: where it listens, what to say when it cannot, and an end that comes within a bounded
 * time. Requests that are being answered may finish, for a while; connections that ask for nothing are closed at once.
 */
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { FathomError } from "../engine/errors.ts";

/** What is left of a request after so long is cut off; supervisors kill after 10 to 30 s. */
const GRACE_MS = 8_000;

/** `http://127.0.0.1:8788`, `http://[::1]:8788` */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A failure to listen, in one sentence; other errors as they are. */
export function listenError(error: unknown, host: string, port: number): unknown {
  const causes: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} of ${host} is in use by another program; choose another with --port, or 0 for any free one.`,
    EACCES: `Port ${port} needs rights that this user has not; choose one above 1023 with --port.`,
    EADDRNOTAVAIL: `This machine has no address ${host}; try --host 127.0.0.1, or 0.0.0.0 for every address.`,
    ENOTFOUND: `There is no host ${host}; try --host 127.0.0.1, or 0.0.0.0 for every address.`,
  };
  const { code } = error as { code?: string };
  const message = code === undefined ? undefined : causes[code];
  return message === undefined
    ? error
    : new FathomError("unavailable", message, code === "EACCES" || code === "EADDRINUSE" ? "--port" : "--host");
}

/** @throws {FathomError} unavailable where somebody else listens, or nobody may */
export async function checkPort(host: string, port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", (error) => reject(listenError(error, host, port)));
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}

/** Ends a server; to be made before the first connection, as it keeps account of them. */
export class GracefulEnd {
  readonly #server: Server;
  readonly #answering = new Map<Socket, number>();
  readonly #connections = new Set<Socket>();
  #isEnding = false;

  constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    });
    server.prependListener("request", ({ socket }, response) => {
      this.#answering.set(socket, (this.#answering.get(socket) ?? 0) + 1);
      response.once("close", () => this.#answered(socket));
    });
  }

  /** Resolves when the last connection is closed, at the latest a moment after the grace time. */
  end(graceMs = GRACE_MS): Promise<void> {
    this.#isEnding = true;
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      this.#server.close(() => {
        clearTimeout(limit);
        resolve();
      });
      for (const socket of this.#connections) if (!this.#answering.has(socket)) socket.destroy();
    });
  }

  #answered(socket: Socket): void {
    const left = (this.#answering.get(socket) ?? 1) - 1;
    if (left > 0) {
      this.#answering.set(socket, left);
      return;
    }
    this.#answering.delete(socket);
    if (this.#isEnding) socket.end();
  }
}

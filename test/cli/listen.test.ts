/** Ports that are taken, and servers that are told to end while connections are open. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, get, Agent, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { checkPort, GracefulEnd, urlOf } from "../../cli/listen.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((cleanup) => cleanup()));

async function serveOn(handler: RequestListener): Promise<{ server: Server; port: number; graceful: GracefulEnd }> {
  const server = createServer(handler);
  const graceful = new GracefulEnd(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return { server, graceful, port: (server.address() as AddressInfo).port };
}

async function open(port: number, text = ""): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  cleanups.push(() => socket.destroy());
  await once(socket, "connect");
  if (text !== "") socket.write(text);
  await sleep(30);
  return socket;
}

describe("a server that is told to end", () => {
  it("closes connections that ask for nothing, at once: silent, idle after an answer, half a request", async () => {
    const { port, graceful } = await serveOn((_, response) => response.end("done"));
    const sockets = [await open(port), await open(port, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"), await open(port, "GET / HTTP/1.1\r\nhos")];
    const closed = sockets.map((socket) => once(socket.resume(), "close"));
    await Promise.race([graceful.end(60_000), sleep(2_000).then(() => Promise.reject(new Error("still open")))]);
    await Promise.all(closed);
  });

  it("lets an answer finish, and closes its connection then", async () => {
    let finish!: () => void;
    const { port, graceful } = await serveOn((_, response) => {
      response.write("half, ");
      finish = () => response.end("whole");
    });
    const agent = new Agent({ keepAlive: true });
    const answer = once(get({ port, host: "127.0.0.1", agent }), "response") as Promise<[IncomingMessage]>;
    const text = answer.then(async ([response]) => (await response.toArray()).join(""));
    await sleep(50);
    const ended = graceful.end(60_000);
    setTimeout(() => finish(), 50);
    expect(await text).toBe("half, whole");
    await Promise.race([ended, sleep(2_000).then(() => Promise.reject(new Error("still open")))]);
    agent.destroy();
  });

  it("cuts an answer off that takes longer than the grace time, and takes no new connection", async () => {
    const { port, graceful } = await serveOn((_, response) => response.write("for ever"));
    const socket = await open(port, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    const ended = graceful.end(50);
    await expect(once(connect(port, "127.0.0.1"), "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await Promise.all([ended, once(socket.resume(), "close")]);
  });
});

describe("a port", () => {
  it("that somebody else has is one sentence", async () => {
    const { port } = await serveOn((_, response) => response.end());
    await expect(checkPort("127.0.0.1", port)).rejects.toMatchObject({
      code: "unavailable",
      message: `Port ${port} of 127.0.0.1 is in use by another program; choose another with --port, or 0 for any free one.`,
    });
    await expect(checkPort("192.0.2.1", 0)).rejects.toMatchObject({ message: expect.stringContaining("no address 192.0.2.1") });
  });

  it("is written as a URL, with brackets around an IPv6 address", () => {
    expect([urlOf("127.0.0.1", 80), urlOf("::1", 80)]).toEqual(["http://127.0.0.1:80", "http://[::1]:80"]);
  });
});

describe("whole programs", { timeout: 60_000 }, () => {
  interface Program {
    readonly child: ChildProcess;
    said(pattern: RegExp): Promise<RegExpExecArray>;
    /** Status and everything that was printed. */
    readonly ended: Promise<{ status: number | null; text: string }>;
  }

  function start(argv: readonly string[]): Program {
    const child = spawn(process.execPath, argv, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    cleanups.push(() => child.kill("SIGTERM"));
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const ended = once(child, "exit").then(([status]) => ({ status: status as number | null, text }));
    const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const found = pattern.exec(text);
        if (found !== null) return found;
        if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before ${pattern}: ${text}`);
        await sleep(50);
      }
    };
    return { child, said, ended };
  }

  /** Names of a process group's programs, without those that have ended and wait to be reaped. */
  function livingIn(group: number): string[] {
    const lines = execFileSync("ps", ["-A", "-o", "pgid=,stat=,comm="], { encoding: "utf8" }).trim().split("\n");
    const processes = lines.map((line) => line.trim().split(/\s+/));
    return processes.filter(([pgid, state]) => pgid === `${group}` && !state!.startsWith("Z")).map(([, , name]) => name!);
  }

  interface Process {
    readonly pid: number;
    readonly name: string;
  }

  /** Programs that a program has started, and those that they have. */
  function descendantsOf(pid: number): Process[] {
    const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" }).trim().split("\n");
    const all = lines
      .map((line) => line.trim().split(/\s+/))
      .map(([own, parent, name]) => ({ pid: Number(own), parent: Number(parent), name: name! }));
    const below = all.filter(({ parent }) => parent === pid);
    return below.flatMap((child) => [{ pid: child.pid, name: child.name }, ...descendantsOf(child.pid)]);
  }

  function isLiving(pid: number): boolean {
    try {
      return !execFileSync("ps", ["-o", "stat=", "-p", `${pid}`], { encoding: "utf8" }).startsWith("Z");
    } catch {
      return false;
    }
  }

  const SERVE = ["cli/fathom.mjs", "serve", "--backend", "wasm"];

  it("fathom serve ends on SIGTERM while a silent connection is open", async () => {
    const program = start([...SERVE, "--port", "0"]);
    const [, port] = await program.said(/at http:\/\/127\.0\.0\.1:(\d+)/);
    await open(Number(port));
    program.child.kill("SIGTERM");
    const end = await Promise.race([program.ended, sleep(5_000).then(() => undefined)]);
    expect(end?.status).toBe(0);
  });

  it("fathom serve and npm start say in one sentence that a port is taken, and end with 1", async () => {
    const { port } = await serveOn((_, response) => response.end("{}"));
    for (const argv of [SERVE, ["cli/start.ts"]]) {
      const { status, text } = await start([...argv, "--port", `${port}`]).ended;
      expect({ status, lines: text.trimEnd().split("\n") }).toEqual({ status: 1, lines: [expect.stringContaining(`Port ${port} of`)] });
    }
  });

  it.skipIf(process.platform === "win32")("npm start leaves nothing behind when npm itself gets SIGTERM", async () => {
    const npm = spawn("npm", ["start", "--ignore-scripts", "--", "--port", "0"], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      shell: false,
    });
    cleanups.push(() => npm.kill("SIGTERM"));
    let text = "";
    for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await expect.poll(() => text, { timeout: 50_000 }).toMatch(/Fathom serves at/);
    const [, url] = /Fathom serves at (http:\/\/127\.0\.0\.1:\d+)\./.exec(text)!;
    const below = descendantsOf(npm.pid!);
    expect(below.map(({ name }) => name)).toContain("workerd");
    npm.kill("SIGTERM");
    await expect.poll(() => below.filter(({ pid }) => isLiving(pid)), { timeout: 15_000 }).toEqual([]);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it.skipIf(process.platform === "win32")("npm start names its true address, and leaves nothing behind on SIGTERM", async () => {
    const program = start(["cli/start.ts", "--port", "0"]);
    const [, url] = await program.said(/Fathom serves at (http:\/\/127\.0\.0\.1:\d+)\. Try:/);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await open(Number(new URL(url!).port));
    const wrangler = Number(execFileSync("pgrep", ["-P", `${program.child.pid}`], { encoding: "utf8" }));
    expect(livingIn(wrangler), "workerd is in wrangler's group").toContain("workerd");
    program.child.kill("SIGTERM");
    expect((await program.ended).status).toBe(0);
    expect(livingIn(wrangler)).toEqual([]);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });
});

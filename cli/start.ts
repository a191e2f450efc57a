/**
 * npm start [-- --port N]: the app under wrangler's local workerd, and a curl line to try as soon as it answers.
 * Not for production: that is `wrangler deploy`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { wholeNumber } from "./arguments.ts";
import { QUIET, wranglerProgram } from "./deploy/wrangler.ts";
import { exitStatus, explain } from "./explain.ts";
import { ALLOW_HOSTS, hostNames } from "./host-names.ts";
import { checkPort, urlOf } from "./listen.ts";
import { OPEN, refuseOpen } from "./open-server.ts";
import { parseArguments } from "./parse.ts";

const OPTIONS = {
  port: { type: "string", default: "8787", description: "port to listen on; 0: any free one" },
  host: { type: "string", default: "127.0.0.1", description: "address to listen on" },
  "allow-hosts": ALLOW_HOSTS,
  open: OPEN,
  config: { type: "string", default: "wrangler.toml", description: "wrangler's configuration" },
} as const;
const USAGE = "npm start -- [--port N] [--host ADDRESS] [--allow-hosts NAMES] [--open] [--config FILE] [-- OPTIONS OF wrangler dev]";

/** Patience for the first answer: workerd starts in about two seconds. */
const START_LIMIT_MS = 60_000;
/** Time to end after a signal; workerd waits for open connections, in vain where they ask for nothing. */
const STOP_LIMIT_MS = 5_000;
const PARENT_CHECK_MS = 200;
const READY_CHECK_MS = 200;
const QUESTION = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

try {
  await start(process.argv.slice(2));
} catch (error) {
  console.error(explain("npm start", error));
  process.exitCode = exitStatus(error);
}

async function start(argv: readonly string[]): Promise<void> {
  if (argv.some((a) => a === "-h" || a === "--help")) return console.log(USAGE);
  const split = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const args = parseArguments("npm start --", OPTIONS, argv.slice(0, split));
  const port = wholeNumber("--port", args.port, 0, 65535);
  if (!args.open) await refuseOpen(args.host, "say --open if that is meant");
  if (port !== 0) await checkPort(args.host, port);

  const hosts = `ALLOWED_HOSTS:${hostNames(args.host, args["allow-hosts"]).join(",")}`;
  const where = ["--config", args.config, "--ip", args.host, "--port", `${port}`, "--var", hosts, "--var", "OPEN_TO_ALL:true"];
  const wrangler = spawnWrangler([...where, ...argv.slice(split + 1)]);
  const ended = new Promise<number>((resolve) => wrangler.once("exit", (code) => resolve(code ?? 1)));
  let isStopped = false;
  onStop(() => {
    isStopped = true;
    wrangler.kill("SIGTERM");
    setTimeout(() => killAll(wrangler), STOP_LIMIT_MS).unref();
  });
  const answered = await Promise.race([announce(wrangler), ended.then(() => "ended" as const)]);
  if (answered !== undefined && answered !== "ended" && !isStopped) console.error(answered);
  const code = await ended;
  killAll(wrangler);
  if (isStopped) return;
  console.error(`npm start: wrangler ended with status ${code}; see its messages above.`);
  process.exitCode = code === 0 ? 1 : code;
}

/** A signal; or the end of the shell that npm starts scripts in, which takes npm's SIGTERM and does not pass it on. */
function onStop(stop: () => void): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  const parent = process.ppid;
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    stop();
  }, PARENT_CHECK_MS).unref();
}

/** wrangler's own program, without a shell between, so that signals reach it; with a channel on which it tells its address. */
function spawnWrangler(options: readonly string[]): ChildProcess {
  const program = [
    wranglerProgram(fileURLToPath(new URL(".", import.meta.url))),
    "dev",
    "--show-interactive-dev-session=false",
    "--log-level=warn",
  ];
  return spawn(process.execPath, [...program, ...options], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, ...QUIET },
    detached: process.platform !== "win32", // a group of its own, which can be ended whole
  });
}

/** What wrangler left behind, should it have. */
function killAll(wrangler: ChildProcess): void {
  try {
    if (process.platform === "win32") wrangler.kill("SIGKILL");
    else process.kill(-wrangler.pid!, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}

/** Resolves to nothing when the model is ready and the address is printed, else to what is wrong. */
async function announce(wrangler: ChildProcess): Promise<string | undefined> {
  const deadline = Date.now() + START_LIMIT_MS;
  const address = await Promise.race([addressOf(wrangler), sleep(START_LIMIT_MS, undefined, { ref: false })]);
  if (address === undefined) return `wrangler serves nothing after ${START_LIMIT_MS / 1000} s; see the messages above.`;
  let answer: string;
  do {
    const response = await fetch(`${address}/ready`).catch((error: Error) => error);
    if (!(response instanceof Error) && response.ok) {
      console.log(welcome(address));
      return undefined;
    }
    answer = response instanceof Error ? response.message : `${response.status}`;
    await sleep(READY_CHECK_MS, undefined, { ref: false });
  } while (Date.now() < deadline);
  return `${address}/ready still answers ${answer} after ${START_LIMIT_MS / 1000} s; see the messages above.`;
}

function welcome(address: string): string {
  const body = JSON.stringify({ model: "nano", messages: [{ role: "user", content: QUESTION }] });
  return `\nFathom serves at ${address}. Try:\n\n  curl ${address}/v1/chat/completions -H 'content-type: application/json' -d '${body}'\n`;
}

function addressOf(wrangler: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    wrangler.on("message", (message) => {
      const { event, ip, port } = JSON.parse(`${message}`) as { event?: string; ip: string; port: number };
      if (event === "DEV_SERVER_READY") resolve(urlOf(ip, port));
    });
  });
}

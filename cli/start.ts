/**
 * npm start: the app under wrangler's local workerd, and a curl line to try as soon as it answers.
 * Not for production: that is `wrangler deploy`.
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const ADDRESS = "http://127.0.0.1:8787";
/** Patience for the first answer: workerd starts in about two seconds. */
const START_LIMIT_MS = 60_000;
const QUESTION = "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

/** Local, quiet, and without the network. */
const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};

const wrangler = spawn("wrangler", ["dev", "--show-interactive-dev-session=false", "--log-level=warn", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, ...QUIET },
});
wrangler.on("error", (error) => {
  console.error(`wrangler does not start: ${error.message}. Run npm ci, then npm start.`);
  process.exitCode = 1;
});
wrangler.on("exit", (code) => {
  process.exitCode = code ?? 0;
  stopped.abort();
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => wrangler.kill(signal));

const stopped = new AbortController();
if (await answers()) {
  const body = JSON.stringify({ model: "nano", messages: [{ role: "user", content: QUESTION }] });
  console.log(
    `\nFathom serves at ${ADDRESS}. Try:\n\n  curl ${ADDRESS}/v1/chat/completions -H 'content-type: application/json' -d '${body}'\n`,
  );
} else if (!stopped.signal.aborted)
  console.error(`Nothing answers at ${ADDRESS} after ${START_LIMIT_MS / 1000} s; see the messages above.`);

async function answers(): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && !stopped.signal.aborted) {
    const response = await fetch(`${ADDRESS}/ready`).catch(() => undefined);
    if (response?.ok === true) return true;
    await sleep(200, undefined, { signal: stopped.signal }).catch(() => {});
  }
  return false;
}

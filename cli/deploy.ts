/**
 * fathom deploy [--dry-run]: looks at what would go wrong, or cost, or leak after `wrangler deploy`, and then runs it. Checks
 * are in deploy/; what Cloudflare itself checks is left to it.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { FathomError } from "../engine/errors.ts";
import { choice } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { checkModel, checkPrivacy, checkSizes, modelFolders, readAssets } from "./deploy/assets.ts";
import { fail, ok, type Check } from "./deploy/check.ts";
import { checkSettings } from "./deploy/settings.ts";
import { readWranglerConfig, runWrangler, type WorkerConfig } from "./deploy/wrangler.ts";
import { FREE, PAID, type WorkersPlan } from "./plan/platform.ts";

/** Configuration files in the order in which wrangler looks for them. */
const CONFIG_FILES = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

export const deployCommand = defineCommand({
  meta: { name: "deploy", description: "Check limits, sizes, secrets and that weights are not public, then run wrangler deploy" },
  examples: ["fathom deploy --dry-run", "fathom deploy --config wrangler.jsonc --env production"],
  args: {
    "dry-run": { type: "boolean", default: false, description: "check and bundle, but upload nothing" },
    config: { type: "string", description: `wrangler's configuration [${CONFIG_FILES.join(", ")}]` },
    env: { type: "string", description: "environment of the configuration" },
    plan: { type: "string", default: "paid", description: "Workers plan, free or paid" },
    "public-weights": { type: "boolean", default: false, description: "let anybody fetch the model's files" },
    json: { type: "boolean", default: false, description: "print one JSON object; with --dry-run alone" },
  },
  async run({ args }) {
    const plan = choice("--plan", args.plan, ["free", "paid"]) === "free" ? FREE : PAID;
    if (args.json && !args["dry-run"])
      throw new FathomError("invalid_request", "--json is for --dry-run: wrangler's own output has no such form.", "--json");
    const path = configPath(args.config);
    const config = await readWranglerConfig(path, args.env);
    const checks = await checkAll(path, config, plan, args["public-weights"]);
    const common = ["--config", path, ...(args.env === undefined ? [] : ["--env", args.env])];
    if (checks.every(({ status }) => status !== "fail")) checks.push(await checkBundle(path, common, plan));
    const isFit = checks.every(({ status }) => status !== "fail");
    if (args.json) console.log(JSON.stringify({ config: path, fits: isFit, checks }));
    else for (const check of checks) console.log(line(check));
    if (!isFit) process.exitCode = 1;
    if (!isFit || args["dry-run"]) return;
    const { status } = await runWrangler(dirname(path), ["deploy", ...common], true);
    if (status !== 0) throw new FathomError("unavailable", `wrangler ended with status ${status}; see its messages above.`);
  },
});

function configPath(given: string | undefined): string {
  const found = (given === undefined ? CONFIG_FILES : [given]).find((file) => existsSync(file));
  if (found !== undefined) return resolve(found);
  const message =
    given === undefined
      ? `There is no ${CONFIG_FILES.join(" or ")} in ${process.cwd()}; go to the Worker's folder, or begin one with fathom init.`
      : `There is no ${resolve(given)}.`;
  throw new FathomError("invalid_request", message, "--config");
}

async function checkAll(path: string, config: WorkerConfig, plan: WorkersPlan, allowsPublicWeights: boolean): Promise<Check[]> {
  const today = new Date().toISOString().slice(0, 10);
  const checks = checkSettings(config, plan, today);
  const assets = await readAssets(config, path);
  if (assets === undefined) return [...checks, ok("assets", "none: the model comes from elsewhere")];
  checks.push(...checkSizes(assets, plan));
  for (const folder of modelFolders(assets)) checks.push(await checkModel(assets, folder));
  return [...checks, checkPrivacy(assets, config, allowsPublicWeights)];
}

/** Bundles as for an upload, and weighs what would be uploaded. */
async function checkBundle(path: string, common: readonly string[], plan: WorkersPlan): Promise<Check> {
  console.error("wrangler bundles the Worker ...");
  const folder = await mkdtemp(join(tmpdir(), "fathom-deploy-"));
  try {
    const { status, output } = await runWrangler(dirname(path), ["deploy", "--dry-run", "--outdir", folder, ...common], false);
    const [, kib] = /gzip: ([\d.]+) KiB/.exec(output) ?? [];
    if (status !== 0 || kib === undefined) return fail("bundle", `wrangler cannot bundle the Worker:\n${output.trim()}`);
    const most = plan.bundleBytes / 1024;
    return Number(kib) > most
      ? fail("bundle", `${kib} KiB compressed; the ${plan.name} plan allows ${most}.`)
      : ok("bundle", `${kib} KiB compressed, of ${most} that the ${plan.name} plan allows`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const MARKS: Readonly<Record<Check["status"], string>> = { ok: "ok   ", warn: "WARN ", fail: "WRONG" };

function line({ name, status, says }: Check): string {
  return `${MARKS[status]} ${name}: ${says}`;
}

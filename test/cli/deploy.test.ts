/** What fathom deploy finds before anything is uploaded, each thing by itself. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkModel, checkPrivacy, checkSizes, isWorkerFirst, modelFolders, readAssets } from "../../cli/deploy/assets.ts";
import { checkSettings } from "../../cli/deploy/settings.ts";
import { readWranglerConfig, wranglerProgram, type WorkerConfig } from "../../cli/deploy/wrangler.ts";
import { modelPath } from "../../cli/models.ts";
import { FREE, PAID } from "../../cli/plan/platform.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-deploy-test-"));
  await writeFile(join(folder, "index.ts"), "");
});
afterEach(() => rm(folder, { recursive: true }));

const configPath = (): string => join(folder, "wrangler.jsonc");
const GOOD: WorkerConfig = {
  name: "w",
  compatibility_date: "2026-10-20",
  compatibility_flags: ["enable_request_signal"],
  secrets: { required: ["API_KEYS"] },
  limits: { cpu_ms: 1000 },
};

describe("settings", () => {
  const found = (change: Partial<WorkerConfig>, plan = PAID) =>
    checkSettings({ ...GOOD, main: join(folder, "index.ts"), ...change }, plan, "2026-11-27")
      .filter(({ status }) => status !== "ok")
      .map(({ name, status, says }) => `${status} ${name}: ${says}`);

  it("that are right pass", () => expect(found({})).toEqual([]));

  const wrong: [what: string, change: object, says: RegExp][] = [
    ["no entry", { main: undefined }, /^fail entry: .*"main"/],
    ["an entry that is not there", { main: "/nowhere/index.ts" }, /^fail entry: .*nowhere/],
    ["no name", { name: undefined }, /^fail entry: .*"name"/],
    ["no compatibility date", { compatibility_date: undefined }, /^fail compatibility date: .*add "compatibility_date"/],
    ["a date in the future", { compatibility_date: "2026-11-28" }, /^fail compatibility date: 2026-11-28 is in the future/],
    ["an old date", { compatibility_date: "2024-01-01" }, /^warn compatibility date: 2024-01-01 is older/],
    ["answers that go on when their caller is gone", { compatibility_flags: [] }, /^warn hang-ups: .*enable_request_signal/],
    ["keys in the open", { vars: { API_KEYS: "k" } }, /^fail secrets: vars.API_KEYS .*wrangler secret put API_KEYS/],
    ["a token in the open", { vars: { GITHUB_TOKEN: "k", MODEL: "nano" } }, /^fail secrets: vars.GITHUB_TOKEN/],
    ["no keys at all", { secrets: undefined }, /^warn secrets: .*open to everyone/],
    ["a Worker that is open to everyone", { vars: { OPEN_TO_ALL: "true" } }, /^warn secrets: OPEN_TO_ALL is set/],
    ["no CPU limit", { limits: undefined }, /^warn CPU limit: .*30000 ms/],
    ["a CPU limit beyond the plan's", { limits: { cpu_ms: 400_000 } }, /^fail CPU limit: .*300000 at most/],
  ];
  it.each(wrong)("say what is wrong with %s", (_, change, says) => {
    expect(found(change)).toEqual([expect.stringMatching(says)]);
  });

  it("refuse the free plan, whose 10 ms do not load a model", () => {
    expect(found({}, FREE)).toEqual([expect.stringMatching(/^fail CPU limit: The free plan allows 10 ms/)]);
  });
});

describe("assets", () => {
  async function withModel(assets: WorkerConfig["assets"] = { run_worker_first: true }) {
    await cp(modelPath("nano"), join(folder, "assets/nano"), { recursive: true, filter: (path) => !path.endsWith("eval") });
    const config = { ...GOOD, assets: { directory: "assets", ...assets } };
    return { config, read: (await readAssets(config, configPath()))! };
  }

  it("are counted and weighed, and a model among them is found and checked", async () => {
    const { read, config } = await withModel();
    expect(checkSizes(read, PAID)).toEqual([{ name: "assets", status: "ok", says: expect.stringMatching(/^5 files, 0\.\d+ MiB/) }]);
    expect(modelFolders(read)).toEqual(["nano"]);
    expect(await checkModel(read, "nano")).toMatchObject({ name: "model nano", status: "ok" });
    expect(checkPrivacy(read, config, false)).toMatchObject({ status: "ok" });
  });

  it("with a model that is damaged, or larger than an isolate, are refused", async () => {
    const { read } = await withModel();
    await writeFile(join(folder, "assets/nano/tokenizer.json"), "{}");
    expect(await checkModel(read, "nano")).toMatchObject({ status: "fail", says: expect.stringMatching(/^tokenizer\.json has 2 bytes/) });
    await rm(join(folder, "assets"), { recursive: true });
    const whole = await withModel();
    const heavy = new Map([...whole.read.files, ["nano/model.safetensors", 120 * 2 ** 20]] as [string, number][]);
    expect(await checkModel({ ...whole.read, files: heavy }, "nano")).toMatchObject({
      status: "fail",
      says: expect.stringContaining("an isolate has 96.0"),
    });
  });

  it("beyond 25 MiB, or more than the plan allows, are refused by name", async () => {
    await mkdir(join(folder, "assets"));
    await writeFile(join(folder, "assets/large.safetensors"), "");
    await truncate(join(folder, "assets/large.safetensors"), 26 * 2 ** 20);
    const read = (await readAssets({ assets: { directory: "assets" } }, configPath()))!;
    expect(checkSizes(read, PAID)).toEqual([
      { name: "assets", status: "fail", says: expect.stringMatching(/^large.safetensors has 26.0 MiB.*R2/) },
    ]);
    const many = { folder, files: new Map(Array.from({ length: 20_001 }, (_, i) => [`${i}`, 1])) };
    expect([checkSizes(many, FREE)[0]!.status, checkSizes(many, PAID)[0]!.status]).toEqual(["fail", "ok"]);
    expect(checkSizes({ folder: join(folder, "none"), files: new Map() }, PAID)[0]).toMatchObject({ status: "fail" });
  });

  it("that are answered before the Worker make weights public, which must be meant", async () => {
    for (const assets of [{}, { run_worker_first: false }, { run_worker_first: ["/api/*"] }, { run_worker_first: ["/*", "!/nano/*"] }]) {
      const { read, config } = await withModel(assets);
      const found = checkPrivacy(read, config, false);
      expect(found, JSON.stringify(assets)).toMatchObject({ status: "fail", says: expect.stringContaining("/nano/model.safetensors") });
      expect(found.says).toContain('"run_worker_first": true');
      expect(checkPrivacy(read, config, true).status).toBe("warn");
    }
  });

  it("go to the Worker first by wrangler's patterns", () => {
    expect([undefined, false, true].map((setting) => isWorkerFirst("/a", setting))).toEqual([false, false, true]);
    expect(isWorkerFirst("/nano/model.safetensors", ["/nano/*"])).toBe(true);
    expect(isWorkerFirst("/nano/modelXsafetensors", ["/nano/model.safetensors"])).toBe(false);
    expect(isWorkerFirst("/nano/x", ["/*", "!/nano/*"])).toBe(false);
    expect(isWorkerFirst("/other", ["/nano/*"])).toBe(false);
  });
});

describe("wrangler", () => {
  it("is the project's own, and where there is none that is said", () => {
    expect(wranglerProgram(process.cwd())).toMatch(/wrangler[\\/]bin[\\/]wrangler\.js$/);
    expect(() => wranglerProgram(folder)).toThrow(`There is no wrangler in ${folder}; install it with npm install --save-dev wrangler.`);
  });

  it("reads the configuration, and its own words say what is wrong there", async () => {
    await mkdir(join(folder, "node_modules"));
    await symlink(join(process.cwd(), "node_modules/wrangler"), join(folder, "node_modules/wrangler"));
    await writeFile(configPath(), '{ "name": "w", "main": "index.ts", /* a comment */ "limits": { "cpu_ms": 7 }, }');
    expect(await readWranglerConfig(configPath(), undefined)).toMatchObject({
      name: "w",
      main: join(folder, "index.ts"),
      limits: { cpu_ms: 7 },
    });
    await writeFile(configPath(), '{ "name": 7 }');
    await expect(readWranglerConfig(configPath(), undefined)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("name"),
    });
  });
});

describe("the command", { timeout: 60_000 }, () => {
  const run = (...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> =>
    promisify(execFile)(process.execPath, [fileURLToPath(new URL("../../cli/fathom.mjs", import.meta.url)), "deploy", ...args], {
      cwd: folder,
    }).then(
      (output) => ({ status: 0, ...output }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ status: code, stdout, stderr }),
    );

  it("ends with 1 and uploads nothing where something is wrong, with 2 where there is nothing to deploy", async () => {
    const nothing = await run();
    expect([nothing.status, nothing.stderr]).toEqual([2, expect.stringContaining("There is no wrangler.json")]);
    await cp(modelPath("nano"), join(folder, "assets/nano"), { recursive: true, filter: (path) => !path.endsWith("eval") });
    await writeFile(configPath(), JSON.stringify({ ...GOOD, main: "index.ts", assets: { directory: "assets" } }));
    const bare = await run();
    expect([bare.status, bare.stderr]).toEqual([1, expect.stringContaining("There is no wrangler in")]);
    await mkdir(join(folder, "node_modules"));
    await symlink(join(process.cwd(), "node_modules/wrangler"), join(folder, "node_modules/wrangler"));
    const { status, stdout } = await run();
    expect([status, stdout]).toEqual([1, expect.stringMatching(/^WRONG weights: Anybody can fetch \/nano\/model\.safetensors/m)]);
    expect(stdout).not.toContain("bundle");
    const json = await run("--dry-run", "--json");
    expect([json.status, JSON.parse(json.stdout)]).toEqual([1, expect.objectContaining({ fits: false })]);
  });
});

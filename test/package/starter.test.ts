/**
 * fathom init from the package as npm packs it: each template compiles under the strictest checks it sets, passes its own
 * test in workerd, and fathom deploy finds nothing wrong with it.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { TEMPLATES } from "../../cli/init/project.ts";
import { ROOT } from "../imports.ts";
import { project } from "./project.ts";

const QUIET = { WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", CI: "1", NO_COLOR: "1", FORCE_COLOR: "0" };

/** Runs a program of Node's in a folder. @returns what it wrote @throws with all of it */
async function run(folder: string, script: string, ...args: readonly string[]): Promise<string> {
  const options = { cwd: folder, env: { ...process.env, NODE_OPTIONS: "", ...QUIET }, maxBuffer: 1 << 24 };
  return promisify(execFile)(process.execPath, [script, ...args], options).then(
    ({ stdout }) => stdout,
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`${script} ${args.join(" ")}\n${stdout}\n${stderr}`);
    },
  );
}

/** Templates, and the model each is tried with: the one in the package, the one that decides, and labels trained over that. */
const VARIANTS = [
  ...TEMPLATES.map((template) => [template, "nano"] as const),
  ["router", "decider"],
  ["router", "labels"],
  ["guard", "decider"],
] as const;
const LABELLED = [
  ["when are you open", "opening hours"],
  ["how late can I come", "opening hours"],
  ["I want my money back", "refund"],
  ["return the shoes", "refund"],
] as const;

it.each(VARIANTS)(
  "the template %s with %s compiles, passes its test in workerd, and is fit to deploy",
  { timeout: 400_000 },
  async (template, model) => {
    await using host = await project({ packages: ["wrangler", "typescript", "@cloudflare/workers-types"] });
    const decider = join(ROOT, "models/decider");
    if (model === "labels") {
      const lines = LABELLED.map(([input, label]) => JSON.stringify({ input, label }));
      await writeFile(join(host.folder, "rows.jsonl"), lines.join("\n"));
      await host.run("fathom", "train", "rows.jsonl", "--base", decider, "--out", "labels");
    }
    const source = model === "decider" ? decider : model;
    const made = JSON.parse(await host.run("fathom", "init", "my-worker", "--template", template, "--model", source, "--json")) as {
      files: string[];
      folder: string;
    };
    const app = join(host.folder, "my-worker");
    expect(made.files).toContain(`assets/${model === "labels" ? "decider" : model}/model.safetensors`);
    const { scripts, dependencies } = JSON.parse(await readFile(join(app, "package.json"), "utf8")) as Record<
      string,
      Record<string, string>
    >;
    expect(dependencies).toEqual({ "fathom-edge": expect.stringMatching(/^\^\d/), hono: expect.stringMatching(/^\^4/) });

    expect(scripts!["types"]).toBe("tsc");
    await run(app, join(ROOT, "node_modules/typescript/bin/tsc"));
    expect(scripts!["test"]).toBe("node --test test/*.test.mjs");
    expect(await run(app, "--test", "test/worker.test.mjs")).toMatch(/fail 0/);
    expect(scripts!["deploy"]).toBe("fathom deploy");
    const fathom = join(host.folder, "node_modules/fathom-edge/cli/fathom.mjs");
    const { fits, checks } = JSON.parse(await run(app, fathom, "deploy", "--dry-run", "--json")) as {
      fits: boolean;
      checks: { name: string; status: string; says: string }[];
    };
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(fits).toBe(true);
    const [, kib] = /^([\d.]+) KiB/.exec(checks.find(({ name }) => name === "bundle")!.says)!;
    // wrangler's bundler makes more of the same Worker than the package's own, which this repository's has
    expect(Number(kib) * 1024, "bytes of the starter's bundle").toBeLessThan(153_500);
  },
);

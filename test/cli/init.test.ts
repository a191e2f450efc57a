/** fathom init: what it writes, what it never writes over, and where its project takes this package from. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { dependencyOn, PACKAGE } from "../../cli/init/dependency.ts";
import { initCommand } from "../../cli/init.ts";
import { TEMPLATES } from "../../cli/init/project.ts";
import { readCommandLine } from "../../cli/command-line.ts";
import { fathomCommand } from "../../cli/fathom.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fathom-init-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

async function init(...argv: string[]): Promise<string> {
  const said = vi.spyOn(console, "log").mockReturnValue(undefined);
  const { args } = (await readCommandLine(fathomCommand(), ["init", ...argv])) as unknown as { args: never };
  await initCommand.run!({ args, rawArgs: [], cmd: initCommand });
  return said.mock.calls.flat().join("\n");
}

describe("a project", () => {
  const models = (template: string): string[] => (template === "chat" ? ["nano"] : ["nano", "decider"]);
  const variants = TEMPLATES.flatMap((template) => models(template).map((model) => [template, model] as const));

  it("decides by the model that is made for it, where there is one", async () => {
    for (const template of TEMPLATES) {
      await init(join(folder, template), "--template", template);
      expect(await readdir(join(folder, template, "assets"))).toEqual([models(template).at(-1)]);
    }
  });

  it.each(variants)(
    "of the template %s with %s has its names in place of every mark, and all that its README runs",
    async (template, model) => {
      const app = join(folder, "My Worker");
      const said = await init(app, "--template", template, "--model", model);
      for (const step of ["npm install", "npm test", "npm run dev", "npm run deploy -- --dry-run"]) expect(said).toContain(step);
      const names = await readdir(app, { recursive: true });
      for (const name of [".gitignore", ".dev.vars", "wrangler.jsonc", "src/index.ts", "test/worker.test.mjs", `assets/${model}/card.json`])
        expect(names).toContain(name);
      for (const name of names.filter((n) => /\.(ts|mjs|json|jsonc|md)$/.test(n) && !n.startsWith("assets")))
        expect(await readFile(join(app, name), "utf8"), name).not.toContain("{{");
      const { name, scripts } = JSON.parse(await readFile(join(app, "package.json"), "utf8")) as {
        name: string;
        scripts: Record<string, string>;
      };
      expect(name).toBe("my-worker");
      expect(names.filter((path) => /^(deciding|labelled)/.test(path))).toEqual([]);
      const readme = await readFile(join(app, "README.md"), "utf8");
      expect(readme).toContain(model === "nano" ? "four forms of step-by-step problems" : "Decides typed questions");
      for (const [, script] of readme.matchAll(/npm run ([\w:]+)/g)) expect(Object.keys(scripts)).toContain(script);
      expect(
        names.some((n) => n.includes("eval")),
        "data sets stay behind",
      ).toBe(false);
    },
  );

  it("is never put over somebody's files, but beside a repository's own", async () => {
    await mkdir(join(folder, "mine/.git"), { recursive: true });
    await init(join(folder, "mine"));
    await expect(init(join(folder, "mine"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("has files"),
    });
    await writeFile(join(folder, "file"), "");
    await expect(init(join(folder, "file"))).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("is a file"),
    });
  });

  it("has a name that Cloudflare takes, and a template and a model that there are", async () => {
    await expect(init(join(folder, "a"), "--name", "Größe!")).rejects.toMatchObject({ param: "--name" });
    await expect(init(join(folder, "a"), "--template", "rooter")).rejects.toMatchObject({
      message: expect.stringContaining("use router, guard, chat"),
    });
    await expect(init(join(folder, "a"), "--model", "nowhere")).rejects.toMatchObject({ param: "--model" });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("the package that a project depends on", () => {
  it("has to be built first where it is a checkout that was not", async () => {
    const isBuilt = existsSync(join(PACKAGE, "dist"));
    expect((await init(join(folder, "app"))).includes("npm run build --prefix")).toBe(!isBuilt);
  });

  const installed = async (resolved: string | undefined): Promise<string> => {
    const own = join(folder, "node_modules/fathom-edge");
    await mkdir(own, { recursive: true });
    const list = { packages: { "node_modules/fathom-edge": { ...(resolved !== undefined && { resolved }) } } };
    await writeFile(join(folder, "node_modules/.package-lock.json"), JSON.stringify(list));
    return dependencyOn("1.2.3", join(folder, "app"), own);
  };

  it("is its version where it came from a registry, and else the place that it came from", async () => {
    expect(await installed("https://registry.example/fathom-edge/-/fathom-edge-1.2.3.tgz")).toBe("^1.2.3");
    expect(await installed(undefined)).toBe("^1.2.3");
    expect(await installed("file:fathom-edge-1.2.3.tgz")).toBe("file:../fathom-edge-1.2.3.tgz");
    expect(await installed("file:../packs/fathom-edge-1.2.3.tgz")).toBe("file:../../packs/fathom-edge-1.2.3.tgz");
    expect(await installed("git+ssh://git@example.org/fathom.git#abc")).toBe("git+ssh://git@example.org/fathom.git#abc");
  });

  it("is a checkout's folder where the command runs in one", async () => {
    expect(await dependencyOn("1.2.3", join(folder, "app"), join(folder, "fathom"))).toBe("file:../fathom");
  });
});

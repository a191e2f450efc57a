/**
 * The package under a Node that is older than its command needs, where this machine has one: the command says so in one
 * sentence, and what a program imports answers all the same, as it is plain JavaScript.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { project } from "./project.ts";

/** The newest Node on the path that is too old for the command. */
const old = (process.env["PATH"] ?? "")
  .split(process.platform === "win32" ? ";" : ":")
  .map((folder) => join(folder, process.platform === "win32" ? "node.exe" : "node"))
  .filter((path) => existsSync(path))
  .map((path) => ({ path, version: execFileSync(path, ["--version"], { encoding: "utf8" }).trim() }))
  .filter(({ version }) => /^v(18|20|21|22\.([0-9]|1[0-7]))\./.test(version))
  .toSorted((a, b) => b.version.localeCompare(a.version, "en", { numeric: true }))[0];

const ASK = `
import { answer, loadModel } from "fathom-edge/engine";
import { createNodeWasmBackend, diskFolder, shippedModel } from "fathom-edge/node";
const model = await loadModel(diskFolder(shippedModel("nano")), createNodeWasmBackend);
const { card, text } = model;
const prompt = text.encodeChat([{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }]);
let said = "";
const options = { prompt, maxTokens: 8, iterations: card.iterations, exit: card.exitRule, cache: card.cacheStrategy };
for await (const piece of answer(model, options)) said += piece.text;
console.log(said.trim());
`;

describe.skipIf(old === undefined)(
  `under an older Node (${old?.version ?? "none is on this machine's path"})`,
  { timeout: 240_000 },
  () => {
    it("the command says in one sentence what it needs, and where to get it", async () => {
      await using mine = await project();
      const { status, stdout, stderr } = spawnSync(old!.path, ["node_modules/fathom-edge/cli/fathom.mjs", "ask", "x"], {
        cwd: mine.folder,
        encoding: "utf8",
      });
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(
        /^Fathom needs Node 22\.18 or newer, this is .*`npm install --save-dev node@24`.*A deployed Worker needs no Node\.\n$/,
      );
    });

    it("a program that imports the package answers", async () => {
      await using mine = await project();
      await mine.write({ "ask.mjs": ASK });
      expect(execFileSync(old!.path, ["ask.mjs"], { cwd: mine.folder, encoding: "utf8" })).toBe("Yes\n");
    });
  },
);

/**
 * The command that compares a core iterated with one run once and with one that shares nothing: a small configuration from
 * training to the table. What the real one finds is in docs/models.md. Needs python3 with torch and tokenizers.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const hasTorch = spawnSync("python3", ["-c", "import sys, torch, tokenizers; sys.exit(sys.version_info < (3, 11))"]).status === 0;
const ITERATIONS = 3;
const COUNT = 6;

const CONFIG = `
form = "liars"
names = 30
levels = [0, 2]
steps = 3
tokens = 120
seeds = [0, 1]
iterations = ${ITERATIONS}
average = 0.9
muon_lr = 0.01
adam_lr = 0.003
warmup = 2
cooldown = 0.5
[judged]
hops = [1, 2]
count = ${COUNT}
[model]
width = 16
heads = 2
mlp = 24
prelude = 1
core = 1
coda = 1
positions = 512
[[variant]]
name = "iterated"
core = "shared"
judged_at = [3, 5]
[[variant]]
name = "apart"
core = "unshared"
[[variant]]
name = "single"
core = "once"
untaught = ["looks"]
`;

/** Prints by variant the times of its iterations and how many cores they have, then whether a judged problem is trained on. */
const INSPECT = `
import itertools, json, sys, tomllib
sys.path.insert(0, "train")
from pathlib import Path
from decider.ablation import Rows, Variant, network
from decider.forms import Words
from decider.rows import Encoder
config = tomllib.loads(sys.argv[1])
encoder = Encoder(Path("models/chains/tokenizer.json"))
def seen(variant):
    model, times = network(config, variant, encoder.size)
    return [list(times), len({id(model.trunk.core_at(i)[1][0]) for i in range(1, len(times) + 1)})]
variants = {raw["name"]: seen(Variant.read(raw)) for raw in config["variant"]}
rows = Rows(config, Words(encoder, config["names"]))
judged, make = rows.judged[1][0], rows.make
drawn = itertools.count()
rows.make = lambda *args: make(*args) if next(drawn) % 2 else judged
trained = [problem is judged for problems in rows.training(0) for problem in problems]
print(json.dumps([variants, len(trained), sum(trained)]))
`;

interface Run {
  readonly variant: string;
  readonly seed: number;
  readonly weights: number;
  readonly products: Readonly<Record<string, number>>;
  readonly right: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

const folder = mkdtempSync(join(tmpdir(), "ablation-"));
afterAll(() => rmSync(folder, { recursive: true }));
const results = join(folder, "runs.jsonl");
const lines = (): string[] => readFileSync(results, "utf8").trim().split("\n");
const runs = (): Run[] => lines().map((line) => JSON.parse(line) as Run);

function ablate(config = CONFIG): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const path = join(folder, "config.toml");
  writeFileSync(path, config);
  return spawnSync("python3", ["train/decider", "ablate", "--config", path, "--out", results], { cwd: ROOT, encoding: "utf8" });
}

const named = (name: string): Run => runs().find(({ variant }) => variant === name) ?? expect.fail(`no run of ${name}`);

describe.skipIf(!hasTorch)("train/decider ablate, skipped without python3 with torch and tokenizers", { timeout: 120_000 }, () => {
  it("trains every variant with every seed, and prints a line for each way to judge it", () => {
    const { status, stdout, stderr } = ablate();

    expect(status, stderr).toBe(0);
    expect(runs().map(({ variant, seed }) => `${variant} ${seed}`)).toEqual(
      [0, 1].flatMap((seed) => ["iterated", "apart", "single"].map((variant) => `${variant} ${seed}`)),
    );
    const table = stdout.split("\n").filter((line) => line.startsWith("| "));
    expect(table.map((line) => line.split(" | ").slice(0, 4).join(" ").replace("| ", ""))).toEqual([
      "core weights M mul-adds r",
      "--- --- --- ---",
      expect.stringMatching(/^iterated [\d,]+ 0\.\d\d 3$/),
      expect.stringMatching(/^iterated [\d,]+ 0\.\d\d 5$/),
      expect.stringMatching(/^apart [\d,]+ 0\.\d\d 3$/),
      expect.stringMatching(/^single [\d,]+ 0\.\d\d 1$/),
    ]);
    for (const { right } of runs()) {
      for (const found of Object.values(right).flatMap((byHops) => Object.values(byHops))) {
        expect(found).toBeGreaterThanOrEqual(0);
        expect(found).toBeLessThanOrEqual(COUNT);
      }
    }
  });

  it("compares equal weights, and equal multiply-adds", () => {
    const { width, mlp } = { width: 16, mlp: 24 };
    const matrices = 4 * width ** 2 + 3 * width * mlp + 2 * width ** 2;
    const vectors = 4 * width + 2 * width; // norms, biases of queries and keys
    const [iterated, apart, single] = [named("iterated"), named("apart"), named("single")];

    expect(single.weights).toBe(iterated.weights);
    expect(apart.weights - iterated.weights).toBe((ITERATIONS - 1) * (matrices + vectors));
    expect(apart.products["3"]).toBe(iterated.products["3"]);
    expect(iterated.products["3"]! - single.products["1"]!).toBe(2 * matrices);
  });

  it("teaches at the block of the same depth, a core run once what holds in the end, and nothing that is judged", () => {
    const { stdout, stderr } = spawnSync("python3", ["-c", INSPECT, CONFIG], { cwd: ROOT, encoding: "utf8" });
    const [variants, trained, judged] = JSON.parse(stdout || expect.fail(stderr)) as [unknown, number, number];

    expect(variants).toEqual({ iterated: [[1, 2, 3], 1], apart: [[1, 2, 3], 3], single: [[3], 1] });
    expect(trained).toBeGreaterThan(2);
    expect(judged).toBe(0);
  });

  it("goes on where it stopped, with the figures that an uninterrupted one has", () => {
    const all = lines();
    writeFileSync(results, all.slice(0, -1).join("\n") + "\n");

    const { stdout } = ablate();

    const timeless = (line: string): string => line.replace(/"cpu_seconds": \d+/, "");
    expect(lines().map(timeless)).toEqual(all.map(timeless));
    expect(lines().slice(0, -1)).toEqual(all.slice(0, -1));
    expect(stdout).not.toMatch(/^iterated 0 /m);
  });

  it("runs again what another configuration was measured with, and leaves its figures out", () => {
    const before = lines();

    expect(ablate(CONFIG.replace("seeds = [0, 1]", "seeds = [0]").replace('["looks"]', '["looks", "bits"]')).status).toBe(0);

    expect(lines().slice(0, -1)).toEqual(before);
    expect(runs().at(-1)).toMatchObject({ variant: "single", seed: 0 });
  });

  it.each([
    ['core = "once"', 'core = "twice"', "core is one of ('shared', 'unshared', 'once')"],
    ['untaught = ["looks"]', 'unthought = ["looks"]', "unknown ['unthought']; known are ['core', 'judged_at', 'name', 'untaught']"],
    ["warmup = 2", "", "unknown or missing in the configuration: ['warmup']"],
  ])("says what is wrong with a configuration: %s as %s", (is, as, message) => {
    const { status, stderr } = ablate(CONFIG.replace(is, as));

    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });
});

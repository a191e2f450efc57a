/**
 * A deciding model from nothing but its teacher: a tiny one, from its table of tokens through both stages of training. What the
 * real one comes to is in docs/models.md. Needs python3 with torch, transformers and tokenizers.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const TOKENIZER = "models/decider/tokenizer.json";
const NEEDED = "import sys, torch, transformers, tokenizers; sys.exit(sys.version_info < (3, 11))";
const hasTorch = spawnSync("python3", ["-c", NEEDED]).status === 0;
const [WIDTH, STEPS] = [8, 3];

const CONFIG = `
seed = 0
left_out = []
word_dropout = 0.1
average = 0.9
[model]
width = ${WIDTH}
heads = 2
mlp = 24
prelude = 1
core = 1
coda = 1
positions = 128
[sets]
rooms = 1.0
[[stage]]
name = "meaning"
steps = ${STEPS}
tokens = 60
match = 0.0
[[stage]]
name = "deciding"
steps = ${STEPS}
tokens = 60
match = 0.5
sets = 1
questions = 4
`;

/** Writes a teacher whose words for animals lie close together, and so do those for numbers. */
const MAKE_TEACHER = `
import sys, torch
from pathlib import Path
from transformers import BertConfig, BertModel, BertTokenizer
out = Path(sys.argv[1]); out.mkdir()
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "horse", "one", "two", "three", "a", "the", "is", "here"]
(out / "vocab.txt").write_text("\\n".join(words))
BertTokenizer(str(out / "vocab.txt")).save_pretrained(out)
torch.manual_seed(0)
model = BertModel(BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32))
table = model.get_input_embeddings().weight.data
for first in (5, 8):
    table[first : first + 3] = 20 * table[first] + 0.02 * torch.randn(3, 32)
model.save_pretrained(out)
`;

/** Prints cosines of rows of the checkpoint's table, and how many tokens have the teacher's. */
const INSPECT = `
import json, sys, torch
from tokenizers import Tokenizer
table = torch.load(sys.argv[1])["average"]["trunk.wte.weight"]
tokenizer = Tokenizer.from_file(sys.argv[2])
row = lambda text: table[tokenizer.encode(text, add_special_tokens=False).ids].mean(0)
cosine = lambda a, b: torch.cosine_similarity(row(a), row(b), dim=0).item()
print(json.dumps({"shape": list(table.shape), "animals": cosine(" cat", " dog"), "numbers": cosine(" one", " three"), "apart": cosine(" cat", " one")}))
`;

describe("a deciding model from nothing", { skip: !hasTorch }, () => {
  const folder = mkdtempSync(join(tmpdir(), "fathom-begin-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const path = (name: string): string => join(folder, name);
  const python = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync("python3", args, { cwd: ROOT, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    return stdout;
  };
  const decider = (...args: readonly string[]): string => python("train/decider", ...args);

  it("begins with the teacher's words, and learns from there by both stages", () => {
    python("-c", MAKE_TEACHER, path("teacher"));
    mkdirSync(path("sets"));
    const choices = [{ value: "animal" }, { value: "number" }];
    const rows = ["cat", "dog", "horse", "one", "two", "three"].flatMap((word, i) =>
      ["a", "the"].map((article) => ({
        split: "train",
        input: `${article} ${word} is here`,
        question: { type: "choice", instructions: "", choices: "@rooms" },
        gold: choices[i < 3 ? 0 : 1]!.value,
      })),
    );
    writeFileSync(path("sets/labels.json"), JSON.stringify({ rooms: choices }));
    writeFileSync(path("sets/rooms.jsonl.gz"), gzipSync(rows.map((row) => JSON.stringify(row)).join("\n")));
    mkdirSync(path("corpus"));
    writeFileSync(path("config.toml"), CONFIG);

    expect(decider("texts", "--data", path("sets"), "--corpus", path("corpus"), "--out", path("vectors"))).toMatch(/^\d+ texts/);
    decider("teach", "--vectors", path("vectors"), "--teacher", path("teacher"));
    const begun = ["--config", path("config.toml"), "--tokenizer", TOKENIZER];
    decider("begin", ...begun, "--teacher", path("teacher"), "--out", path("start.pt"));
    const { shape, animals, numbers, apart } = JSON.parse(python("-c", INSPECT, path("start.pt"), TOKENIZER)) as Record<string, number> & {
      shape: readonly number[];
    };
    expect(shape[1]).toBe(WIDTH);
    expect(animals).toBeGreaterThan(0.9);
    expect(numbers).toBeGreaterThan(0.9);
    expect(apart).toBeLessThan(0.5);

    const trained = ["--data", path("sets"), "--vectors", path("vectors"), "--start", path("start.pt"), "--out", path("run")];
    expect(decider("train", ...begun, ...trained)).toContain("1 of ");
    expect(readFileSync(path("run/log.txt"), "utf8")).toContain('"meaning"');
    decider("evaluate", "--checkpoint", path("run/checkpoint.pt"), "--tokenizer", TOKENIZER, "--data", path("sets"), "--sets", "rooms");
  });

  it("refuses a teacher with fewer features than its states have", () => {
    const wide = CONFIG.replace(`width = ${WIDTH}`, "width = 64");
    writeFileSync(path("wide.toml"), wide);
    const args = ["begin", "--config", path("wide.toml"), "--tokenizer", TOKENIZER, "--teacher", path("teacher"), "--out", path("wide.pt")];
    const { status, stderr } = spawnSync("python3", ["train/decider", ...args], { cwd: ROOT, encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain("the teacher's table has 15 features, the model's states 64");
  });
});

/**
 * A trained model's greedy streams and exits, made by an independent f32 implementation. The data lies beside the
 * repository where it was made; a clean clone skips this.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import type { WasmBackend } from "../../wasm/backend.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { expectClose } from "./compare.ts";

interface Case {
  readonly task: string;
  readonly level: number;
  readonly ids: readonly number[];
  readonly greedy_r16: readonly number[];
  readonly first_token_by_iterations: Readonly<Record<string, number>>;
  readonly top2_logits_by_iterations: Readonly<Record<string, readonly number[]>>;
  readonly exit_latent_diff_003: number;
  readonly latent_diff: readonly number[];
}

const FOLDER = fileURLToPath(new URL("../../../shared/reference/trained", import.meta.url));
const present = existsSync(`${FOLDER}/streams.json`);
const END_TOKEN = 1;

async function load(): Promise<{ backend: WasmBackend; cases: Case[] }> {
  const folder = diskFolder(FOLDER);
  const config = await readConfig(folder);
  const backend = await createNodeWasmBackend(config, (sink) => readWeights(folder, config, sink));
  return { backend, cases: (JSON.parse(readFileSync(`${FOLDER}/streams.json`, "utf8")) as { cases: Case[] }).cases };
}

const argmax = (v: Float32Array): number => v.reduce((best, x, i) => (x > v[best]! ? i : best), 0);

describe.skipIf(!present)("the trained model in f32 (skipped where its data is absent)", async () => {
  const { backend, cases } = present ? await load() : { backend: undefined!, cases: [] };

  it.each(cases.map((c, i) => [i, c.task, c.level, c] as const))(
    "case %i, %s of level %i, answers and settles as recorded",
    (_, __, ___, c) => {
      const sequence = backend.openSequence({
        capacity: c.ids.length + c.greedy_r16.length,
        maxIterations: 32,
        cache: parseCacheStrategy("full"),
      });
      const rows = backend.prelude(c.ids.map((token) => ({ sequence, token })));
      const last = rows.slice(-1);
      const diffs: number[] = [];
      for (let t = 1; t <= 32; t++) {
        backend.iterate(rows);
        const changes = backend.measure(rows);
        diffs.push(changes.reduce((sum, change) => sum + change.distance / change.norm, 0) / changes.length);
        const token = c.first_token_by_iterations[t];
        if (token === undefined) continue;
        const [logits] = backend.readout(rows, last);
        expect(argmax(logits!), `first token at ${t} iterations`).toBe(token);
        expectClose([...logits!].sort((a, b) => b - a).slice(0, 2), c.top2_logits_by_iterations[t]!, 2e-5, `top logits at ${t} iterations`);
      }
      expectClose(diffs, c.latent_diff, 1e-4, "latent-diff");
      const near = c.latent_diff[c.exit_latent_diff_003 - 1]!;
      if (Math.abs(near - 0.03) > 0.0003) expect(diffs.findIndex((d) => d < 0.03) + 1, "exit").toBe(c.exit_latent_diff_003);
      backend.closeSequence(sequence);
      expect(greedy(backend, c.ids)).toEqual(c.greedy_r16);
    },
  );
});

function greedy(backend: WasmBackend, prompt: readonly number[]): number[] {
  const sequence = backend.openSequence({ capacity: prompt.length + 32, maxIterations: 16, cache: parseCacheStrategy("full") });
  const out: number[] = [];
  for (let fresh = prompt; out.length < 32 && out.at(-1) !== END_TOKEN; fresh = out.slice(-1)) {
    const rows = backend.prelude(fresh.map((token) => ({ sequence, token })));
    for (let t = 0; t < 16; t++) backend.iterate(rows);
    out.push(...backend.argmax(rows, rows.slice(-1)));
    backend.release(rows);
  }
  backend.closeSequence(sequence);
  return out;
}

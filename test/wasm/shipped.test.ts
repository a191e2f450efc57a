/**
 * The shipped model on every build and path of this host: one set of tokens, bit for bit the same logits.
 * And the ledger of the benchmark's model: what an isolate has room for.
 */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BENCH_CONFIG, benchWeights } from "../../bench/model.ts";
import { diskFolder } from "../../cli/files.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createWasmBackend } from "../../wasm/create.ts";
import { readWasmModule } from "../../wasm/node.ts";
import { supportsRelaxedSimd } from "../../wasm/select.ts";
import { expectSame } from "./compare.ts";
import { hostPaths } from "./host.ts";

const MIB = 1048576;
const QUESTION = "Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?";

describe("the shipped model", async () => {
  const folder = diskFolder(fileURLToPath(new URL("../../models/nano", import.meta.url)));
  const paths = await hostPaths();

  it("has the same logits on every build and path", async () => {
    let first: Float32Array[] | undefined;
    for (const { module, path, name } of paths) {
      const { backend, text, card } = await loadModel(folder, (config, load) => createWasmBackend({ module, path, config, load }));
      const prompt = text.encodeChat([{ role: "user", content: QUESTION }]);
      const sequence = backend.openSequence({ capacity: prompt.length + 3, maxIterations: 16, cache: card.cacheStrategy });
      const logits: Float32Array[] = [];
      for (let fresh = prompt; logits.length < 4;) {
        const rows = backend.prelude(fresh.map((token) => ({ sequence, token })));
        for (let t = 0; t < 16; t++) backend.iterate(rows);
        logits.push(...backend.readout(rows, rows.slice(-1)));
        backend.release(rows);
        fresh = [logits.at(-1)!.indexOf(Math.max(...logits.at(-1)!))];
      }
      first ??= logits;
      logits.forEach((actual, i) => expectSame(actual, first![i]!, `${name}, token ${i}`));
    }
  });
});

describe("25.7 M weights in q4 and 8 sessions of 512 tokens", () => {
  it("stay below 64 MiB, with one iteration's keys and values kept; more is refused", async () => {
    const module = await readWasmModule(supportsRelaxedSimd() ? "relaxed" : "simd");
    const load = benchWeights(BENCH_CONFIG, "q4 q8-head");
    const backend = await createWasmBackend({ module, config: BENCH_CONFIG, load, limitBytes: 64 * MIB, warm: false });
    const options = { capacity: 512, maxIterations: 32, cache: parseCacheStrategy("latest-m4-compress-s4"), prompt: 16, rows: 1 };
    for (let n = 0; n < 8; n++) {
      const sequence = backend.openSequence(options);
      const rows = backend.prelude(Array.from({ length: 16 }, (_, token) => ({ sequence, token })));
      backend.iterate(rows);
      backend.readout(rows, rows.slice(-1));
      backend.release(rows);
    }
    expect(backend.arena.memory.buffer.byteLength).toBeLessThanOrEqual(64 * MIB);
    const ledger = backend.memory();
    expect(ledger.peakBytes).toBeLessThan(64 * MIB);
    expect(() => backend.openSequence({ ...options, cache: parseCacheStrategy("full") })).toThrow(
      expect.objectContaining({ code: "out_of_memory" }),
    );
    expect(backend.memory()).toEqual(ledger);
  });
});

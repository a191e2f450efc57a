/**
 * Runs the model on a few made-up rows until the engine has compiled its kernels with the optimising tier: a running
 * call never changes tier, so the first request should not be the one that pays. Engines count how much a function
 * has run, so small models need more rounds. Some 30 to 60 ms; leave it out where a cold start matters more.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import type { WasmBackend } from "./backend.ts";

/** One row and several take different ways through the matrices. */
const ROW_COUNTS = [8, 1];
/** Multiply-adds to run in all, within the limits on rounds. */
const WORK = 1e9;
const ROUNDS = { least: 6, most: 40 } as const;

export function warmUp(backend: WasmBackend): void {
  const { config } = backend;
  const rowsARound = ROW_COUNTS.reduce((a, b) => a + b, 0);
  if (config.contextLength < rowsARound) return;
  const weights = backend.memory().owners["weights"]!; // about a multiply-add a byte and row
  const rounds = Math.min(ROUNDS.most, Math.max(ROUNDS.least, Math.ceil(WORK / (weights * rowsARound))));
  for (let round = 0; round < rounds; round++) {
    const sequence = backend.openSequence({ capacity: rowsARound, maxIterations: 1, cache: parseCacheStrategy("full"), attention: true });
    for (const count of ROW_COUNTS) {
      const rows = backend.prelude(Array.from({ length: count }, (_, token) => ({ sequence, token: token % config.vocabSize })));
      backend.iterate(rows);
      backend.measure(rows);
      backend.pressure(rows, new Float32Array(rowsARound));
      backend.argmax(rows, rows.slice(-1));
    }
    backend.closeSequence(sequence);
  }
}

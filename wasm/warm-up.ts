/**
 * Runs the model on a few made-up rows until the engine has compiled its kernels with the optimising tier: a running
 * call never changes tier, so the first request should not be the one that pays.
 */
import type { Row } from "../engine/backend.ts";
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import type { WasmBackend } from "./backend.ts";

/** Calls after which V8 has optimised a kernel that is called with a small matrix. */
const ROUNDS = 8;
/** One row and several take different ways through the matrices. */
const ROW_COUNTS = [1, 8];

export function warmUp(backend: WasmBackend): void {
  const capacity = Math.min(Math.max(...ROW_COUNTS), backend.config.contextLength);
  for (let round = 0; round < ROUNDS; round++)
    for (const count of ROW_COUNTS) {
      const sequence = backend.openSequence({ capacity, maxIterations: 1, cache: parseCacheStrategy("full") });
      const rows: Row[] = backend.prelude(
        Array.from({ length: Math.min(count, capacity) }, (_, i) => ({ sequence, token: i % backend.config.vocabSize })),
      );
      backend.iterate(rows);
      backend.measure(rows);
      backend.argmax(rows, rows.slice(-1));
      backend.closeSequence(sequence);
    }
}

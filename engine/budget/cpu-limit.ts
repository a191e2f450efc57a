/**
 * The platform's CPU limit: workerd writes 24 into a Wasm module's `__instance_signal` when a request's CPU limit is
 * near. Requests in flight then end with what they have, later ones start unharmed.
 */

import type { SignalWord } from "../cpu-signal.ts";

/** SIGXCPU */
const CPU_LIMIT_NEAR = 24;

/** The platform's signal that a request's CPU time is nearly over. */
export class CpuLimit {
  readonly #word: SignalWord;
  #raised = 0;

  constructor(word: SignalWord) {
    this.#word = word;
  }

  /** Begins to watch for one request; the function returned says whether the signal came since. */
  watch(): () => boolean {
    this.#poll();
    const before = this.#raised;
    return () => {
      this.#poll();
      return this.#raised > before;
    };
  }

  #poll(): void {
    if (this.#word.read() !== CPU_LIMIT_NEAR) return;
    this.#word.clear();
    this.#raised++;
  }
}

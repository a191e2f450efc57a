/**
 * The steps that a template has taken, an expression or a statement each: counted, told in portions, and ended where
 * they are too many. Not here: what counts for how many (template-interpreter.ts), what a step takes (engine/text-work.ts).
 */

/** Steps between two reports of them: a millisecond. */
const STEPS_OF_REPORT = 2000;

export class TemplateSteps {
  readonly #most: number;
  readonly #onSteps: (steps: number) => void;
  #taken = 0;
  #reported = 0;

  /** @param onSteps told now and then of steps that have been taken; what it throws ends the run */
  constructor(most: number, onSteps: (steps: number) => void) {
    this.#most = most;
    this.#onSteps = onSteps;
  }

  take(count: number): void {
    this.#taken += count;
    if (this.#taken > this.#most) throw new Error(`more than ${this.#most} steps`);
    if (this.#taken - this.#reported >= STEPS_OF_REPORT) this.report();
  }

  /** Tells what has been taken and not told yet. */
  report(): void {
    this.#onSteps(this.#taken - this.#reported);
    this.#reported = this.#taken;
  }
}

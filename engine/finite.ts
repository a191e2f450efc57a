/**
 * Numbers that must not be: what a damaged model or an overflow leaves in logits and states. They end a call with a
 * named error, as every comparison with them is false and would choose the first token in silence.
 */
import { FathomError } from "./errors.ts";

/** @throws {FathomError} not_finite */
export function requireFinite(logits: ArrayLike<number>): void {
  for (let i = 0; i < logits.length; i++) if (!Number.isFinite(logits[i])) throw notFinite("logits");
}

/** An exit rule's value; Infinity is one, as long as too little is known. @throws {FathomError} not_finite */
export function requireNumber(value: number): number {
  if (Number.isNaN(value)) throw notFinite("latent states");
  return value;
}

/** The error that says so, of `logits` or `latent states`. */
export function notFinite(what: string): FathomError {
  return new FathomError(
    "not_finite",
    `The model's ${what} are not finite: its weights are damaged, or their values are too large for f32. Check the model's files.`,
  );
}

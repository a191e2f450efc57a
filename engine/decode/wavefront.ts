/**
 * Wavefront decoding that is exact: later tokens start to think on a guess while earlier ones still do, and a guess
 * that turns out different takes everything to its right with it. Its tokens equal plain greedy decoding.
 *
 * Why it can be exact (the sampler of arXiv 2510.14961 is not): the row at position p needs, at iteration t, only keys
 * of positions before p at iteration t. Rows to the left are always ahead in depth, so those keys are final as long as
 * the tokens are. Needs a cache whose iterations do not share slots.
 */
import type { Backend, Row } from "../port/backend.ts";
import type { CacheStrategy } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import { NEVER_EXIT } from "../exit-rule.ts";
import { argmax } from "./exit.ts";
import { zeroState, type InitialState } from "./initial-state.ts";
import { checkLengths } from "./lengths.ts";
import { forward } from "./forward.ts";

/** Options of `generateWavefront`: several positions in flight at staggered depths. */
export interface WavefrontOptions {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** Full depth of every token. */
  readonly iterations: number;
  /** Iterations between two looks at the guesses; a new position joins at each. [default 4] */
  readonly stride?: number;
  /** Most positions in flight. [default ceil(iterations / stride)] */
  readonly width?: number;
  readonly cache: CacheStrategy;
  readonly stopTokens: ReadonlySet<number>;
  readonly initialState?: InitialState;
}

/** A token that has come to full depth. */
export interface WavefrontToken {
  readonly token: number;
  readonly index: number;
  /** Core iterations times rows since the last token, discarded guesses included. */
  readonly rowIterations: number;
  readonly finish: "stop" | "length" | undefined;
}

/**
 * Makes the tokens that `generate` makes at full depth, with several positions in flight at staggered depths.
 * @throws {FathomError} as `generate` does, and invalid_request for a cache that shares slots
 */
export async function* generateWavefront(backend: Backend, options: WavefrontOptions): AsyncGenerator<WavefrontToken, void, undefined> {
  const { prompt, maxTokens, iterations, cache, stopTokens, initialState = zeroState } = options;
  const { stride = 4, width = Math.ceil(iterations / stride) } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  checkShape(options, stride, width);
  const sequence = backend.openSequence({
    capacity: prompt.length + maxTokens,
    maxIterations: iterations,
    cache,
    prompt: prompt.length,
    rows: Math.min(width, prompt.length + maxTokens),
  });
  try {
    const rows = await backend.prelude(prompt.map((token, i) => ({ sequence, token, state: initialState(i) })));
    const first = await forward(backend, rows, { iterations, exit: NEVER_EXIT, isPrefill: true });
    backend.release(rows);
    let rowIterations = iterations * prompt.length;
    let token = argmax(first.logits);
    let wave: Row[] = []; // ascending positions, descending depth; the first one's token is final
    for (let index = 0; ; index++) {
      const finish = stopTokens.has(token) ? "stop" : index === maxTokens - 1 ? "length" : undefined;
      yield { token, index, rowIterations, finish };
      if (finish !== undefined) return;
      rowIterations = 0;
      if (wave.length === 0) wave = await backend.prelude([{ sequence, token, state: initialState(sequence.length) }]);
      for (;;) {
        const steps = Math.min(stride, iterations - wave[0]!.iterations);
        for (let t = 0; t < steps; t++) await backend.iterate(wave);
        rowIterations += steps * wave.length;
        const guesses = (await backend.readout(wave, wave)).map(argmax);
        wave = await keepRight(backend, wave, guesses);
        const done = wave[0]!.iterations === iterations;
        if (done) {
          token = guesses[0]!;
          backend.release(wave.splice(0, 1));
        }
        const room = wave.length < width && sequence.length < prompt.length + maxTokens;
        if (room)
          wave.push(
            ...(await backend.prelude([{ sequence, token: guesses[wave.length - (done ? 0 : 1)]!, state: initialState(sequence.length) }])),
          );
        if (done) break;
      }
    }
  } finally {
    backend.closeSequence(sequence);
  }
}

/** Drops every row that stands on a guess which its left neighbour no longer makes, and all rows right of it. */
async function keepRight(backend: Backend, wave: Row[], guesses: readonly number[]): Promise<Row[]> {
  const wrong = wave.findIndex((row, i) => i > 0 && row.token !== guesses[i - 1]);
  if (wrong < 0) return wave;
  const { sequence, position } = wave[wrong]!;
  backend.release(wave.slice(wrong));
  backend.truncate(sequence, position);
  return wave.slice(0, wrong);
}

function checkShape({ iterations, cache }: WavefrontOptions, stride: number, width: number): void {
  const refuse = (what: string, param: string): never => {
    throw new FathomError("invalid_request", `Wavefront decoding: ${what}.`, param);
  };
  if (!Number.isInteger(iterations) || iterations < 1) refuse(`iterations must be at least 1, not ${iterations}`, "iterations");
  if (!Number.isInteger(stride) || stride < 1) refuse(`stride must be at least 1, not ${stride}`, "stride");
  if (!Number.isInteger(width) || width < 1) refuse(`width must be at least 1, not ${width}`, "width");
  if (cache.sharing.kind !== "none")
    refuse(
      `cache strategy ${cache.name} shares slots between iterations, so rows ahead would overwrite what rows behind must read; use full`,
      "cache",
    );
}

/**
 * Looking inside: what a model does between iterations, as data. For every generated token: its state's norm and
 * movement after each iteration, what it would say then (a logit lens through ln_f and coda), and its path projected
 * on the principal directions of all paths. Slow by design: coda and head run after every iteration.
 */
import type { Backend, LatentState, Row } from "../port/backend.ts";
import { probabilities } from "./exit.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "./generate.ts";
import { principalDirections, project } from "./principal.ts";

export interface LensGuess {
  readonly token: number;
  readonly probability: number;
}

export interface TokenTrace extends GeneratedToken {
  /** ||s_t|| after iteration 1, 2, ... */
  readonly norms: readonly number[];
  /** ||s_t - s_(t-1)|| / ||s_t|| */
  readonly movements: readonly number[];
  /** Entropy of the prediction in nats. */
  readonly entropies: readonly number[];
  /** Most likely tokens after each iteration. */
  readonly lens: readonly (readonly LensGuess[])[];
  /** s_0, s_1, ... on the principal directions. */
  readonly path: readonly (readonly number[])[];
}

/** The path of every token's latent state through the iterations, with what a readout there would have said. */
export interface Trace {
  readonly tokens: readonly TokenTrace[];
  /** Share of the variance that each principal direction explains. */
  readonly explained: readonly number[];
}

const DIRECTIONS = 3;
const LENS_GUESSES = 3;

/**
 * Generates as `generate` does, and records the row that produces each token: norms, movements, entropies, guesses, and the
 * path of its state on the principal directions.
 * @throws {FathomError} as `generate` does
 * @example
 * ```ts
 * const { tokens } = await trace(model.backend, {
 *   prompt: model.text.encode("Start with 3. Add 4. Double it. Subtract 9. What is the last digit?"),
 *   maxTokens: 1,
 *   iterations: 16,
 *   exit: NEVER_EXIT,
 *   cache: parseCacheStrategy("full"),
 *   stopTokens: new Set(model.config.eosTokens),
 * });
 * tokens[0].movements; // one an iteration
 * ```
 */
export async function trace(backend: Backend, options: GenerateOptions): Promise<Trace> {
  const recorder = new Recorder(backend);
  const tokens: GeneratedToken[] = [];
  for await (const token of generate(recorder.backend, options)) tokens.push(token);
  const states = recorder.calls.flatMap((call) => call.states);
  const { directions, explained, mean } = principalDirections(states, DIRECTIONS);
  return {
    explained,
    tokens: tokens.map((token, i): TokenTrace => {
      const call = recorder.calls[i]!;
      const steps = call.states
        .slice(1)
        .map((s, t) => ({ norm: Math.hypot(...s), moved: Math.hypot(...s.map((v, k) => v - call.states[t]![k]!)) }));
      return {
        ...token,
        norms: steps.map((s) => s.norm),
        movements: steps.map((s) => s.moved / s.norm),
        entropies: call.entropies,
        lens: call.lens,
        path: call.states.map((s) => project(s, mean, directions)),
      };
    }),
  };
}

interface RecordedCall {
  readonly states: LatentState[];
  readonly lens: LensGuess[][];
  readonly entropies: number[];
}

/** A backend that passes everything on and writes down the last row of every call. */
class Recorder {
  readonly calls: RecordedCall[] = [];
  readonly backend: Backend;
  #rows: readonly Row[] = [];

  constructor(inner: Backend) {
    this.backend = Object.assign(Object.create(inner) as Backend, {
      prelude: async (inputs: Parameters<Backend["prelude"]>[0]) => {
        const rows = await inner.prelude(inputs);
        this.#rows = rows;
        this.calls.push({ states: [await inner.latent(rows.at(-1)!, "raw")], lens: [], entropies: [] });
        return rows;
      },
      iterate: async (rows: readonly Row[]) => {
        await inner.iterate(rows);
        const call = this.calls.at(-1)!;
        const last = this.#rows.slice(-1);
        call.states.push(await inner.latent(last[0]!, "raw"));
        const [logits] = await inner.readout(this.#rows, last);
        const p = probabilities(logits!);
        call.entropies.push(p.reduce((sum, v) => (v > 0 ? sum - v * Math.log(v) : sum), 0));
        call.lens.push(mostLikely(p));
      },
      ...bound(inner, [
        "measure",
        "readout",
        "latent",
        "release",
        "openSequence",
        "closeSequence",
        "truncate",
        "sequenceBytes",
        "memory",
        "pressure",
        "argmax",
      ]),
      // every call is to be seen
      openChain: undefined,
      makeTokens: undefined,
    });
  }
}

/** Methods bound to their backend: private fields are not reached through a derived object. */
function bound(inner: Backend, names: readonly (keyof Backend)[]): Partial<Backend> {
  return Object.fromEntries(
    names.flatMap((name) =>
      typeof inner[name] === "function" ? [[name, (inner[name] as (...args: unknown[]) => unknown).bind(inner)]] : [],
    ),
  );
}

function mostLikely(p: Float64Array): LensGuess[] {
  return Array.from(p.keys())
    .sort((a, b) => p[b]! - p[a]! || a - b)
    .slice(0, LENS_GUESSES)
    .map((token) => ({ token, probability: p[token]! }));
}

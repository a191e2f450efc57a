/**
 * How far a converted model is from its source: what both say after each token of a text, at several depths. Recursion feeds
 * what rounding changes back into the core, so the drift of one iteration says little about that of 32. Both are loaded one
 * after the other: logits are kept, models are not.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { checkedFolder } from "../engine/model/file-list.ts";
import { readConfig, readWeights } from "../engine/model/folder.ts";
import { readTokenizer } from "../engine/model/tokenizer.ts";
import type { Backend } from "../engine/port/backend.ts";
import { FathomError } from "../engine/errors.ts";
import { createNodeWasmBackend } from "../wasm/node.ts";
import { diskFolder } from "./files.ts";

/** Iterations after which the two are compared. */
const DEPTHS = [1, 4, 16, 32] as const;
/** Tokens of the text that are read: logits of a large vocabulary are kept for each, at each depth. */
const MOST_TOKENS = 64;

/** A text for whoever names none. */
const REPORT_TEXT = "Start with 3. Add 4. Double it. Subtract 9. What is the last digit of the result, and how was it found?";

/** Source and result after some iterations, over all tokens of the text. */
export interface QualityRow {
  readonly iterations: number;
  readonly tokens: number;
  /** Share of tokens after which both hold the same next token most likely. */
  readonly sameTop: number;
  /** Mean and largest Kullback-Leibler divergence of the result's next token from the source's, in nats. */
  readonly meanKl: number;
  readonly maxKl: number;
  /** Largest difference of a logit. */
  readonly maxLogit: number;
  /** Length of the states' difference by the length of the source's states. */
  readonly stateDrift: number;
}

/** What a model says of a text: by depth, by token. */
interface Said {
  readonly logits: readonly Float32Array[][];
  readonly states: readonly Float32Array[][];
}

/**
 * Compares two folders of one model.
 * @throws {FathomError} out_of_memory where one of them does not fit the Wasm core; what is wrong with its files
 */
export async function qualityReport(source: string, result: string, text = REPORT_TEXT): Promise<QualityRow[]> {
  const [from, to] = [await sayingOf(source, text), await sayingOf(result, text)];
  return DEPTHS.map((iterations, depth) => compared(iterations, from, to, depth));
}

async function sayingOf(path: string, text: string): Promise<Said> {
  const folder = await checkedFolder(diskFolder(path));
  const config = await readConfig(folder);
  const tokens = (await readTokenizer(folder, config)).encode(text).slice(0, MOST_TOKENS);
  if (tokens.length === 0) throw new FathomError("empty_prompt", "The text for the report has no tokens.", "--report");
  const backend = await createNodeWasmBackend(config, (sink) => readWeights(folder, config, sink), { kv: "f32", warm: false });
  return saying(backend, tokens);
}

async function saying(backend: Backend, tokens: readonly number[]): Promise<Said> {
  const cache = parseCacheStrategy(`latest-m${backend.config.coreLayers}-compress-s${backend.config.coreLayers}`);
  const sequence = backend.openSequence({ capacity: tokens.length, maxIterations: DEPTHS.at(-1)!, cache });
  const rows = await backend.prelude(tokens.map((token) => ({ sequence, token })));
  const said: { logits: Float32Array[][]; states: Float32Array[][] } = { logits: [], states: [] };
  for (let iterations = 1; iterations <= DEPTHS.at(-1)!; iterations++) {
    await backend.iterate(rows);
    if (!DEPTHS.some((depth) => depth === iterations)) continue;
    said.logits.push((await backend.readout(rows, rows)).map((logits) => logits.slice()));
    const states: Float32Array[] = [];
    for (const row of rows) states.push((await backend.latent(row, "raw")).slice());
    said.states.push(states);
  }
  backend.release(rows);
  backend.closeSequence(sequence);
  return said;
}

function compared(iterations: number, from: Said, to: Said, depth: number): QualityRow {
  const [expected, got] = [from.logits[depth]!, to.logits[depth]!];
  const kl = expected.map((logits, i) => divergence(logits, got[i]!));
  const tops = expected.filter((logits, i) => indexOfLargest(logits) === indexOfLargest(got[i]!)).length;
  const [states, others] = [from.states[depth]!, to.states[depth]!];
  const squares = (part: (state: Float32Array, k: number, i: number) => number): number =>
    states.reduce((sum, state, i) => state.reduce((all, _, k) => all + part(state, k, i) ** 2, sum), 0);
  return {
    iterations,
    tokens: expected.length,
    sameTop: tops / expected.length,
    meanKl: kl.reduce((sum, value) => sum + value, 0) / kl.length,
    maxKl: Math.max(...kl),
    maxLogit: expected.reduce((most, logits, i) => logits.reduce((m, v, k) => Math.max(m, Math.abs(v - got[i]![k]!)), most), 0),
    stateDrift: Math.sqrt(squares((state, k, i) => state[k]! - others[i]![k]!) / squares((state, k) => state[k]!)),
  };
}

/** Kullback-Leibler divergence of the softmax of `q` from that of `p`, in nats. */
function divergence(p: Float32Array, q: Float32Array): number {
  const [sumP, sumQ] = [logSum(p), logSum(q)];
  return Math.max(
    0,
    p.reduce((sum, v, i) => sum + Math.exp(v - sumP) * (v - sumP - (q[i]! - sumQ)), 0),
  );
}

function logSum(logits: Float32Array): number {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(logits.reduce((sum, v) => sum + Math.exp(v - most), 0));
}

function indexOfLargest(values: Float32Array): number {
  return values.reduce((best, v, i) => (v > values[best]! ? i : best), 0);
}

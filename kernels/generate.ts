/**
 * The token loop over a GPU that makes tokens by itself: the same tokens, in the same form, as engine/decode/generate.ts,
 * but a chunk at a time and read back one chunk late, while the device already makes the next. What the device cannot
 * decide (sampling, log-probabilities, budgets that look at every iteration, rules that read logits) goes step by step,
 * and so does the rest of a completion whose device goes away.
 */
import type { Backend, LatentState, Row, Sequence } from "../engine/port/backend.ts";
import { argmax } from "../engine/decode/exit.ts";
import { generate, type GeneratedToken, type GenerateOptions } from "../engine/decode/generate.ts";
import { zeroState } from "../engine/decode/initial-state.ts";
import { checkLengths } from "../engine/decode/lengths.ts";
import { fixedPolicy } from "../engine/depth-policy.ts";
import { forward } from "../engine/decode/forward.ts";
import { WebGpuBackend } from "./backend.ts";
import { decidesOnDevice, type DeviceToken } from "./decode.ts";
import { FailoverBackend, isGone } from "../engine/failover/backend.ts";

export interface ChunkOptions {
  /** Tokens of a submit. [default 16] */
  readonly chunk?: number;
  /** Whether the next chunk is submitted before the last one is read: faster, but a stop token wastes it. [default true] */
  readonly ahead?: boolean;
}

/** Whether the device can decide everything that these options ask for. */
export function runsOnDevice(options: GenerateOptions): boolean {
  const { temperature = 0, repetitionPenalty = 1 } = options.sampling ?? {};
  const greedy = temperature === 0 && repetitionPenalty === 1;
  return greedy && options.policy === undefined && options.logprobs === undefined && decidesOnDevice(options.exit.criterion);
}

/**
 * Generates tokens for one prompt, on any backend; only a WebGPU backend, alone or with a fallback, makes chunks.
 * @throws {FathomError} as `generate`
 * @example
 * for await (const { token } of generateOnGpu(model.backend, options)) show(token);
 */
export async function* generateOnGpu(
  backend: Backend,
  options: GenerateOptions,
  { chunk = 16, ahead = true }: ChunkOptions = {},
): AsyncGenerator<GeneratedToken, void, undefined> {
  if (gpuOf(backend) === undefined || !runsOnDevice(options)) return yield* generate(backend, options);
  const { prompt, maxTokens, exit, initialState = zeroState } = options;
  checkLengths(backend.config, prompt.length, maxTokens);
  const sequence = backend.openSequence({
    capacity: prompt.length + maxTokens - 1,
    maxIterations: fixedPolicy(options.iterations, exit, maxTokens).maxIterations,
    cache: options.cache,
    attention: exit.criterion === "rest-wake",
  });
  try {
    const rows = await backend.prelude(prompt.map((token, i) => ({ sequence, token, state: initialState(i) })));
    const { logits, ...cost } = await forward(backend, rows, { iterations: limitOf(options, 0), exit, isPrefill: true });
    const token = argmax(logits);
    const first = { token, index: 0, rows: rows.length, limit: limitOf(options, 0), ...cost, finish: finishOf(token, 0, options) };
    yield first;
    if (first.finish !== undefined) return;
    await options.breathe?.();
    backend.release(rows.slice(0, -1));
    yield* afterFirst(backend, sequence, rows.at(-1)!, first, options, { chunk, ahead });
  } finally {
    backend.closeSequence(sequence);
  }
}

function gpuOf(backend: Backend): WebGpuBackend | undefined {
  const own = backend instanceof FailoverBackend ? backend.primary : backend;
  return own instanceof WebGpuBackend ? own : undefined;
}

function limitOf({ iterations }: GenerateOptions, index: number): number {
  return typeof iterations === "number" ? iterations : iterations(index);
}

function finishOf(token: number, index: number, { stopTokens, maxTokens }: GenerateOptions): GeneratedToken["finish"] {
  return stopTokens.has(token) ? "stop" : index + 1 === maxTokens ? "length" : undefined;
}

/** Tokens from index 1 on: chunks while there is a GPU, single steps from where it went away. */
async function* afterFirst(
  backend: Backend,
  sequence: Sequence,
  row: Row,
  first: GeneratedToken,
  options: GenerateOptions,
  chunks: Required<ChunkOptions>,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const warmStart = options.warmStart ?? "off";
  let last = first;
  let reason = new Error("it was lost during the prompt.");
  const gpu = gpuOf(backend);
  const own = backend instanceof FailoverBackend ? backend.handOver(row) : row;
  if (gpu !== undefined && own !== undefined)
    try {
      for await (const token of chained(backend, gpu, sequence, own, first.token, options, chunks)) {
        last = token;
        yield token;
        if (token.finish !== undefined) return;
        await options.breathe?.();
      }
    } catch (error) {
      if (!(backend instanceof FailoverBackend) || !isGone(error)) throw error;
      reason = error as Error;
    }
  const carried = await (backend as FailoverBackend).takeOver(reason, sequence);
  yield* stepwise(backend, sequence, last, warmStart === "off" ? undefined : carried?.[warmStart], options);
}

/** Ends early, without a last token, where a fallback has taken the sequence over. */
async function* chained(
  backend: Backend,
  gpu: WebGpuBackend,
  sequence: Sequence,
  row: Row,
  token: number,
  options: GenerateOptions,
  { chunk, ahead }: Required<ChunkOptions>,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { exit, stopTokens, maxTokens, warmStart = "off", initialState = zeroState } = options;
  const chain = gpu.openChain({ row, token, maxTokens: maxTokens - 1, exit, stopTokens, warmStart, initialState });
  let submitted = 1;
  const submit = (): Promise<DeviceToken[]> | undefined => {
    const count = Math.min(chunk, chain.left);
    if (count === 0) return undefined;
    const limits = Array.from({ length: count }, (_, k) => limitOf(options, submitted + k));
    submitted += count;
    const tokens = gpu.makeTokens([chain], [limits]).then((all) => all[0]!);
    tokens.catch(() => undefined); // whoever stops early never awaits it
    return tokens;
  };
  let [index, before, position] = [1, token, sequence.length];
  for (let pending = submit(); pending !== undefined;) {
    const next = ahead ? submit() : undefined;
    const made = await pending;
    if (backend instanceof FailoverBackend) {
      if (backend.primary === undefined) return; // another request found the device gone, and took this one along
      for (const { token, iterations } of made) {
        backend.noteMade(sequence, [{ token: before, iterations, start: warmStart === "off" ? initialState(position++) : warmStart }]);
        before = token;
      }
    }
    for (const { token, iterations, exited, exitValues } of made) {
      const cost = { iterations, rowIterations: iterations, readouts: 1, exited, exitValues };
      yield { token, index, rows: 1, limit: limitOf(options, index), ...cost, finish: finishOf(token, index, options) };
      index++;
    }
    pending = next ?? submit();
  }
}

/** One token at a time from the one after `last`, on a sequence that holds everything before. */
async function* stepwise(
  backend: Backend,
  sequence: Sequence,
  last: GeneratedToken,
  carried: LatentState | undefined,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { exit, warmStart = "off", initialState = zeroState } = options;
  let { token, index, finish } = last;
  let state = carried;
  while (finish === undefined) {
    index++;
    const limit = limitOf(options, index);
    const rows = await backend.prelude([{ sequence, token, state: state ?? initialState(sequence.length) }]);
    const { logits, ...cost } = await forward(backend, rows, { iterations: limit, exit, isPrefill: false });
    if (warmStart !== "off") state = await backend.latent(rows[0]!, warmStart);
    backend.release(rows);
    token = argmax(logits);
    finish = finishOf(token, index, options);
    yield { token, index, rows: 1, limit, ...cost, finish };
    await options.breathe?.();
  }
}

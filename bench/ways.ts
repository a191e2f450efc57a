/**
 * Ways to decode on a model's own prompts: whether self-speculation and the exact wavefront give the tokens of plain
 * greedy decoding, and whether they pay. Part of `fathom bench decode`.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { generate } from "../engine/decode/generate.ts";
import { speculate } from "../engine/decode/speculate.ts";
import { generateWavefront } from "../engine/decode/wavefront.ts";
import { NEVER_EXIT } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import type { Problem } from "../cli/eval-score.ts";

export interface WayRow {
  readonly way: string;
  readonly n: number;
  /** Prompts whose tokens equal those of plain decoding. */
  readonly equal: number;
  readonly msPerAnswer: number;
  /** Time against plain decoding in the same run. */
  readonly timeShare: number;
  /** Core iterations times rows, against plain decoding. */
  readonly workShare: number;
}

interface Run {
  readonly tokens: number[];
  readonly rowIterations: number;
}

type Way = (model: Model, prompt: readonly number[]) => Promise<Run>;

const ITERATIONS = 32;
/** The tasks end after two tokens; going on past the stop token gives the drafters something to do. */
const TOKENS = 24;
const CACHE = parseCacheStrategy("full");

const base = (prompt: readonly number[]) => ({
  prompt,
  maxTokens: TOKENS,
  iterations: ITERATIONS,
  cache: CACHE,
  stopTokens: new Set<number>(),
});

async function collect(steps: AsyncIterable<{ tokens: readonly number[]; rowIterations: number }>): Promise<Run> {
  const tokens: number[] = [];
  let rowIterations = 0;
  for await (const step of steps) {
    tokens.push(...step.tokens);
    rowIterations += step.rowIterations;
  }
  return { tokens: tokens.slice(0, TOKENS), rowIterations };
}

async function* single<T extends { token: number; rowIterations: number }>(
  steps: AsyncIterable<T>,
): AsyncGenerator<{ tokens: number[]; rowIterations: number }> {
  for await (const { token, rowIterations } of steps) yield { tokens: [token], rowIterations };
}

const WAYS: Readonly<Record<string, Way>> = {
  plain: ({ backend }, prompt) => collect(single(generate(backend, { ...base(prompt), exit: NEVER_EXIT }))),
  "speculative, draft 4, lookahead 4": ({ backend }, prompt) =>
    collect(speculate(backend, { ...base(prompt), draftIterations: 4, lookahead: 4, strict: true })),
  "speculative, draft 8, lookahead 4": ({ backend }, prompt) =>
    collect(speculate(backend, { ...base(prompt), draftIterations: 8, lookahead: 4, strict: true })),
  "speculative, draft 8, drafts redone": ({ backend }, prompt) =>
    collect(speculate(backend, { ...base(prompt), draftIterations: 8, lookahead: 4, strict: true, reuseDrafts: false })),
  "wavefront, stride 4": ({ backend }, prompt) => collect(single(generateWavefront(backend, { ...base(prompt), stride: 4 }))),
  "wavefront, stride 8": ({ backend }, prompt) => collect(single(generateWavefront(backend, { ...base(prompt), stride: 8 }))),
};

export async function compareWays(model: Model, problems: readonly Problem[], onProgress: () => void): Promise<WayRow[]> {
  const names = Object.keys(WAYS);
  const sums = new Map(names.map((name) => [name, { equal: 0, ms: 0, work: 0 }]));
  for (const [p, problem] of problems.entries()) {
    const prompt = model.text.encodeChat([{ role: "user", content: problem.prompt }]);
    const runs = new Map<string, Run>();
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + p) % names.length]!; // turning order: drift of the machine falls on all
      const start = performance.now();
      const run = await WAYS[name]!(model, prompt);
      const sum = sums.get(name)!;
      sum.ms += performance.now() - start;
      sum.work += run.rowIterations;
      runs.set(name, run);
    }
    const plain = runs.get("plain")!.tokens.join();
    for (const name of names) sums.get(name)!.equal += runs.get(name)!.tokens.join() === plain ? 1 : 0;
    onProgress();
  }
  const plain = sums.get("plain")!;
  return names.map((way) => {
    const { equal, ms, work } = sums.get(way)!;
    return { way, n: problems.length, equal, msPerAnswer: ms / problems.length, timeShare: ms / plain.ms, workShare: work / plain.work };
  });
}

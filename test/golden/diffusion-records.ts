/**
 * Golden records of the reference's diffusion-forcing sampler: tokens and counters, or our named error where the
 * authors' code crashes. Fresh states come from the case's tape, in order.
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generateDiffusion, type DiffusionOptions, type FreezeStrategy } from "./authors/diffusion.ts";
import type { DiffusionRecord, GoldenCase } from "./case.ts";
import { promptIds, tensor } from "./driver.ts";
import { all, check, same, type Outcome, type Result } from "./report.ts";

export async function diffusionRecords(c: GoldenCase): Promise<Result[]> {
  const results: Result[] = [];
  for (const record of c.json.diffusion ?? [])
    results.push(await check(`diffusion ${JSON.stringify(record.args)}`, () => runRecord(c, record)));
  return results;
}

async function runRecord(c: GoldenCase, record: DiffusionRecord): Promise<Outcome> {
  let used = 0;
  const tape = tensor(c, "diffusion.tape");
  const { width } = c.config;
  const options = diffusionOptions(c, record, () => tape.slice(used * width, ++used * width));
  if (record.raises !== undefined) {
    const code = await generateDiffusion(c.backend, options).then(
      () => "no error",
      (error: { code?: string }) => error.code,
    );
    return same(code, "invalid_request");
  }
  const result = await generateDiffusion(c.backend, options);
  return all(
    same(result.tokens, record.tokens),
    same(
      {
        tape_rows_used: used,
        num_core_forward_passes: result.coreForwardPasses,
        num_tokens_forward: result.tokensForward,
        num_cache_clears: result.positionsCleared,
        num_standing_waves: result.standingWaves,
        diffusion_steps: result.steps,
        gen_seq_length: result.sequenceLength,
      },
      {
        tape_rows_used: record.tape_rows_used,
        num_core_forward_passes: record.num_core_forward_passes,
        num_tokens_forward: record.num_tokens_forward,
        num_cache_clears: record.num_cache_clears,
        num_standing_waves: record.num_standing_waves,
        diffusion_steps: record.diffusion_steps,
        gen_seq_length: record.gen_seq_length,
      },
    ),
    same(padded(result.iterationsByPosition, record.recurrence_per_position!), record.recurrence_per_position),
    same(padded(result.stabilityByPosition, record.token_stable_per_position!), record.token_stable_per_position),
  );
}

/** The reference keeps as many positions as prompt and limit have. */
function padded(list: readonly number[], like: readonly number[]): number[] {
  return like.map((_, p) => list[p] ?? 0);
}

/** The authors' keyword names as options of `generateDiffusion`. */
function diffusionOptions(c: GoldenCase, { args }: DiffusionRecord, freshState: () => Float32Array): DiffusionOptions {
  const pairs: [option: keyof DiffusionOptions, keyword: string][] = [
    ["iterations", "num_steps"],
    ["innerIterations", "inner_recurrence"],
    ["exitThreshold", "exit_t"],
    ["headway", "headway"],
    ["maxWavefront", "max_wavefront"],
    ["embeddingEma", "ema_embeds"],
    ["noise", "state_noise_mixing"],
    ["dampenNoise", "dampened_state_mixer"],
    ["squareRootMix", "sqrt_mixer"],
    ["fullPrefill", "full_prefill"],
    ["continuousCompute", "continuous_compute"],
  ];
  const given = Object.fromEntries(pairs.filter(([, keyword]) => keyword in args).map(([option, keyword]) => [option, args[keyword]]));
  return {
    ...given,
    prompt: promptIds(c),
    maxTokens: args["max_new_tokens"] as number,
    freeze: args["freeze_strategy"] as FreezeStrategy,
    cache: parseCacheStrategy((args["cache_lookup_strategy"] as string | undefined) ?? "latest-m4-compress-s4"),
    stopTokens: new Set(),
    freshState,
  };
}

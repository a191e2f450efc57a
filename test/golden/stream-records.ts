/**
 * Golden token streams: greedy decoding at fixed depth, with continuous compute, and with exits.
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { NEVER_EXIT, type ExitCriterion } from "../../engine/exit-rule.ts";
import { generate, type GenerateOptions, type GeneratedToken } from "../../engine/decode/generate.ts";
import { generateLockstep, type LockstepToken } from "./authors/lockstep.ts";
import { speculate, type SpeculateOptions } from "../../engine/decode/speculate.ts";
import type { GoldenCase, StreamRecord } from "./case.ts";
import { initialState, promptIds } from "./driver.ts";
import { all, check, close, same, type Outcome, type Result } from "./report.ts";

export async function streamRecords(c: GoldenCase): Promise<Result[]> {
  const results: Result[] = [];
  for (const [i, record] of c.json.streams.entries()) {
    const name = `stream ${i} ${record.kind}${record.batch > 1 ? ` batch ${record.batch}` : ""} ${JSON.stringify(record.args)}`;
    results.push(await check(name, () => runStream(c, record)));
  }
  return results;
}

async function runStream(c: GoldenCase, record: StreamRecord): Promise<Outcome> {
  if (record.kind === "speculative") return runSpeculative(c, record);
  if (record.kind === "adaptive" && record.batch > 1) return runLockstep(c, record);
  const outcomes: Outcome[] = [];
  for (let batchRow = 0; batchRow < record.batch; batchRow++) {
    const tokens: GeneratedToken[] = [];
    for await (const token of generate(c.backend, streamOptions(c, record, batchRow))) tokens.push(token);
    outcomes.push(
      same(
        tokens.map((t) => t.token),
        record.tokens[batchRow],
      ),
    );
    if (record.compute_steps !== undefined)
      outcomes.push(
        same(
          tokens.map((t) => t.iterations),
          record.compute_steps.map((s) => s[batchRow]),
        ),
      );
    // under the gate every loop runs and is cached; the exit is where its checks ended
    if (record.loops !== undefined)
      outcomes.push(
        same(
          tokens.map((t) => t.exitValues.length),
          record.loops.map((loops) => loops[batchRow]),
        ),
        same(new Set(tokens.map((t) => t.iterations)).size === 1 && tokens[0]!.iterations, c.config.meanRecurrence),
      );
    if (record.exit_values_row0 !== undefined && batchRow === 0)
      outcomes.push(
        close(
          tokens.flatMap((t) => [...t.exitValues]),
          record.exit_values_row0.flat(),
        ),
      );
  }
  return all(...outcomes);
}

/** The reference lets a batch run on until its last row has exited. */
async function runLockstep(c: GoldenCase, record: StreamRecord): Promise<Outcome> {
  const rows = Array.from({ length: record.batch }, (_, b) => b);
  const options = { ...streamOptions(c, record, 0), iterations: record.args["num_steps"] as number };
  const prompts = rows.map((b) => promptIds(c, b));
  const initialStates = rows.map((b) => (position: number) => initialState(c, b, position));
  const steps: LockstepToken[][] = [];
  for await (const step of generateLockstep(c.backend, { ...options, prompts, initialStates })) steps.push(step);
  return all(
    same(
      rows.map((b) => steps.map((step) => step[b]!.token)),
      record.tokens,
    ),
    same(
      steps.map((step) => step.map((t) => t.iterations)),
      record.compute_steps,
    ),
  );
}

/** As the reference does it, and once more with drafted states reused: the tokens must not differ. */
async function runSpeculative(c: GoldenCase, record: StreamRecord): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const reuseDrafts of [false, true]) {
    const tokens: number[] = [];
    const accepted: number[] = [];
    for await (const step of speculate(c.backend, { ...speculateOptions(c, record), reuseDrafts })) {
      tokens.push(...step.tokens);
      if (step.drafted > 0) accepted.push(step.tokens.length);
    }
    outcomes.push(same(tokens, record.tokens[0]), same(accepted, record.accepted));
  }
  return all(...outcomes);
}

function speculateOptions(c: GoldenCase, { args, eos_token_id: eos }: StreamRecord): SpeculateOptions {
  return {
    prompt: promptIds(c),
    maxTokens: args["max_new_tokens"] as number,
    iterations: args["num_steps"] as number,
    draftIterations: args["draft_steps"] as number,
    lookahead: args["lookahead_for_draft"] as number,
    threshold: args["verification_threshold"] as number,
    cache: parseCacheStrategy((args["cache_lookup_strategy"] as string | undefined) ?? "full"),
    stopTokens: new Set(eos === undefined ? [] : [eos]),
    initialState: (position) => initialState(c, 0, position),
  };
}

/** The authors' keyword names as options of `generate`. */
function streamOptions(c: GoldenCase, record: StreamRecord, batchRow: number): GenerateOptions {
  const { args } = record;
  const adaptive = record.kind === "adaptive";
  return {
    prompt: promptIds(c, batchRow),
    maxTokens: args["max_new_tokens"] as number,
    iterations: (args["num_steps"] as number | undefined) ?? c.config.meanRecurrence,
    cache: parseCacheStrategy((args["cache_lookup_strategy"] as string | undefined) ?? "full"),
    stopTokens: new Set(record.eos_token_id === undefined ? [] : [record.eos_token_id]),
    initialState: (position) => initialState(c, batchRow, position),
    // the reference hands on ln_f(s) at fixed depth, but the raw state where it exits
    warmStart: args["continuous_compute"] !== true ? "off" : adaptive ? "raw" : "normalised",
    sampling: { repetitionPenalty: record.repetition_penalty ?? 1 },
    exit: adaptive
      ? {
          criterion: args["criterion"] as ExitCriterion,
          threshold: args["exit_threshold"] as number,
          minIterations: (args["min_steps"] as number | undefined) ?? 0,
          checkEvery: (args["check_criterion_every_n_steps"] as number | undefined) ?? 1,
          exitInPrefill: args["do_not_exit_in_prefill"] !== true,
        }
      : record.kind === "gate"
        ? { criterion: "gate", threshold: args["exit_threshold"] as number }
        : NEVER_EXIT,
    lastReadout: "checked",
  };
}

/**
 * Golden records of the exit criteria: their values token by token, and logits with exits ("varied prefill").
 */
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { NEVER_EXIT, type ExitCriterion, type ExitRule } from "../../engine/exit-rule.ts";
import { forward } from "../../engine/decode/forward.ts";
import type { GoldenCase } from "./case.ts";
import { begin, concat, promptIds, tensor } from "./driver.ts";
import { all, check, close, same, type Result } from "./report.ts";

const ITERATIONS = 16;

export async function adaptiveRecords(c: GoldenCase): Promise<Result[]> {
  const results: Result[] = [];
  for (const criterion of Object.keys(c.json.adaptive_forward) as ExitCriterion[]) {
    const trace = `adaptive.trace.${criterion}`;
    results.push(
      await check(trace, async () => {
        const run = await tokenByToken(c, { criterion, threshold: 0 });
        return close(run.exitValues, tensor(c, trace));
      }),
    );
    for (const [i, { threshold, steps }] of c.json.adaptive_forward[criterion]!.entries()) {
      const record = `adaptive.fwd.${criterion}.${i}.logits`;
      results.push(
        await check(record, async () => {
          const run = await tokenByToken(c, { criterion, threshold });
          return all(same(run.steps, steps), close(run.logits, tensor(c, record)));
        }),
      );
    }
  }
  results.push(
    await check("adaptive.noexit_logits", async () =>
      close((await tokenByToken(c, NEVER_EXIT)).logits, tensor(c, "adaptive.noexit_logits")),
    ),
  );
  return results;
}

async function tokenByToken(c: GoldenCase, exit: ExitRule): Promise<{ logits: Float32Array; steps: number[]; exitValues: number[] }> {
  const ids = promptIds(c);
  const sequence = c.backend.openSequence({ capacity: ids.length, maxIterations: ITERATIONS, cache: parseCacheStrategy("full") });
  const logits: Float32Array[] = [];
  const steps: number[] = [];
  const exitValues: number[] = [];
  for (const id of ids) {
    const rows = await begin(c, sequence, [id]);
    const thought = await forward(c.backend, rows, { iterations: ITERATIONS, exit, isPrefill: false });
    c.backend.release(rows);
    logits.push(thought.logits);
    steps.push(thought.iterations);
    exitValues.push(...thought.exitValues);
  }
  c.backend.closeSequence(sequence);
  return { logits: concat(logits), steps, exitValues };
}

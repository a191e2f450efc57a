/**
 * fathom bench exits --profile: where the time of an answer goes, with a rule and without, call by call of the port. What
 * an exit rule cannot save (tokenizer, prelude, coda, head) is the difference between its share of work and of time.
 */
import type { Backend } from "../engine/port/backend.ts";
import { parseExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { score, type Problem } from "../cli/eval-score.ts";
import { LIMIT, sharingOneIteration } from "./exits.ts";

const CALLS = ["prelude", "iterate", "measure", "pressure", "readout"] as const;

/** Milliseconds an answer, by call; `rest` is the token loop, sampling and text. */
export type AnswerProfile = Readonly<Record<(typeof CALLS)[number] | "rest" | "whole", number>> & { readonly rule: string };

/** @param rules compared on the same problems by turns, after one round that warms up */
export async function profileExits(
  model: Model,
  problems: readonly Problem[],
  rules: readonly string[],
  onProgress: (done: number, total: number) => void = () => {},
): Promise<AnswerProfile[]> {
  const total = 2 * problems.length * rules.length;
  let done = 0;
  const spent = rules.map((): Record<string, number> => Object.fromEntries([...CALLS, "rest", "whole"].map((name) => [name, 0])));
  let current: Record<string, number> = {};
  const backend = watched(model.backend, (call, ms) => (current[call]! += ms));
  const shared = { ...sharingOneIteration(model), backend };
  for (const round of ["warm-up", "measured"])
    for (const problem of problems)
      for (const [r, rule] of rules.entries()) {
        current = round === "measured" ? spent[r]! : { ...spent[r]! };
        current["whole"]! += (await score(shared, problem, LIMIT, parseExitRule(rule))).ms;
        onProgress(++done, total);
      }
  return rules.map((rule, r) => {
    const own = spent[r]!;
    own["rest"] = own["whole"]! - CALLS.reduce((sum, call) => sum + own[call]!, 0);
    return { rule, ...Object.fromEntries(Object.entries(own).map(([call, ms]) => [call, ms / problems.length])) } as AnswerProfile;
  });
}

/** The backend with a clock around the calls that compute. */
function watched(backend: Backend, note: (call: string, ms: number) => void): Backend {
  return new Proxy(backend, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (!(CALLS as readonly unknown[]).includes(key)) return call;
      return async (...args: unknown[]) => {
        const start = performance.now();
        const result: unknown = await call(...args);
        note(key as string, performance.now() - start);
        return result;
      };
    },
  });
}

/**
 * fathom bench cache: what a KV cache strategy costs in bytes a token, and what it does to accuracy, at full depth and
 * with an exit that leaves tokens at different depths.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { NEVER_EXIT, parseExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { score, type Problem } from "../cli/eval-score.ts";

export interface CacheRow {
  readonly strategy: string;
  /** Cache bytes of one token at the iteration limit, on the backend that ran. */
  readonly bytesPerToken: number;
  readonly n: number;
  /** Share answered exactly at the limit. */
  readonly accuracy: number;
  /** Accuracy with the exit rule, 0 to 1; undefined where the strategy cannot read tokens that stopped early. */
  readonly accuracyWithExit: number | undefined;
}

const CACHE_LIMIT = 32;
/** The exit rule of the bench: of the joint rules the one that all strategies allow. */
const CACHE_EXIT = "latent-diff:0.03";
const CAPACITY = 256;

/** The family's strategies, for a model of `coreLayers` core layers. */
export function cacheStrategies(coreLayers: number): string[] {
  const latest = `latest-m${coreLayers}`;
  const shared = [1, 2, 4, 16].map((iterations) => `${latest}-compress-s${iterations * coreLayers}`);
  return ["full", "skip", latest, `always-last-m${coreLayers}`, "randomized", ...shared, `${latest}-compress-anchor`];
}

export async function compareCaches(model: Model, problems: readonly Problem[], onProgress: () => void): Promise<CacheRow[]> {
  const rows: CacheRow[] = [];
  for (const strategy of cacheStrategies(model.config.coreLayers)) {
    const cacheStrategy = parseCacheStrategy(strategy);
    const own = { ...model, card: { ...model.card, cacheStrategy } };
    const accuracy = async (exit: typeof NEVER_EXIT): Promise<number> => {
      let right = 0;
      for (const problem of problems) {
        right += (await score(own, problem, CACHE_LIMIT, exit)).right ? 1 : 0;
        onProgress();
      }
      return right / problems.length;
    };
    rows.push({
      strategy,
      bytesPerToken: Math.round(
        model.backend.sequenceBytes({ capacity: CAPACITY, maxIterations: CACHE_LIMIT, cache: cacheStrategy }) / CAPACITY,
      ),
      n: problems.length,
      accuracy: await accuracy(NEVER_EXIT),
      accuracyWithExit: await accuracy(parseExitRule(CACHE_EXIT)),
    });
  }
  return rows;
}

/** The comparison as a table of docs/. */
export function cacheTable(model: string, rows: readonly CacheRow[], command: string): string {
  const percent = (share: number | undefined): string => (share === undefined ? "" : (100 * share).toFixed(1));
  return [
    `Made by \`${command}\`: ${model}, at most ${CACHE_LIMIT} iterations, n = ${rows[0]?.n} problems of all forms and levels.`,
    "",
    `| strategy | bytes a token | accuracy %, r = ${CACHE_LIMIT} | accuracy %, ${CACHE_EXIT} |`,
    "|---|---|---|---|",
    ...rows.map((r) => `| ${r.strategy} | ${r.bytesPerToken} | ${percent(r.accuracy)} | ${percent(r.accuracyWithExit)} |`),
    "",
  ].join("\n");
}

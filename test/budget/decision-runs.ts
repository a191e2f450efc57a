/**
 * Random decisions with random budgets that share one isolate: what must hold of each, whatever happened. Every decision
 * is checked against an account of its own, kept at the backend's calls, and against itself without any limit.
 */
import { isWithin, type Budget, type BudgetSources } from "../../engine/budget/budget.ts";
import { frozenClock, type Clock } from "../../engine/budget/clock.ts";
import type { Spending } from "../../engine/budget/controller.ts";
import { decisionCost, type DecisionCost } from "../../engine/budget/decision-cost.ts";
import type { DecisionController } from "../../engine/budget/decision-controller.ts";
import { InfeasibleError, type Grant, type GrantDefaults } from "../../engine/budget/grant.ts";
import { SharedBudget } from "../../engine/budget/shared-budget.ts";
import { decide, prepareDecision, withPrefixes, type PreparedDecision } from "../../engine/decide/decide.ts";
import type { Decision } from "../../engine/decide/decision.ts";
import { passCache } from "../../engine/decide/passes.ts";
import type { Answer, Question } from "../../engine/decide/question.ts";
import { FathomError } from "../../engine/errors.ts";
import type { ExitRule } from "../../engine/exit-rule.ts";
import type { Backend, Model, Row } from "../../engine/port/index.ts";
import { PrefixCache, type PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { CALIBRATION, makeSources, PRICE, randomOf, type Random } from "./requests.ts";
import { makeClock, type ClockKind, type RunResult } from "./runs.ts";

const CLOCKS: readonly ClockKind[] = ["frozen", "frozen", "frozen", "jumping", "backwards", "nonsense", "io"];

/** Those that decisions follow, at thresholds that they reach now and then on random weights. */
const RULES: readonly ExitRule[] = [
  { criterion: "latent-diff", threshold: 0.5 },
  { criterion: "prefix", threshold: 0.9 },
  { criterion: "rest-wake", threshold: 0.6, wake: 0.3 },
  { criterion: "cosine", threshold: 0.3 },
  { criterion: "none", threshold: 0 },
];

const DEFAULTS: GrantDefaults = { iterations: 4, maxIterations: 8, tokens: 1, exit: { criterion: "latent-diff", threshold: 0.5 } };
const BOUNDLESS: GrantDefaults = { ...DEFAULTS, iterations: 30, maxIterations: 30 };

interface Request {
  readonly prepared: PreparedDecision;
  readonly sources: BudgetSources;
  readonly arrival: number;
}

interface Outcome {
  readonly grant: Grant;
  readonly decision: Decision | undefined;
  readonly spending: Spending | undefined;
  readonly accountUnits: number;
  readonly error: unknown;
}

/** Run number `run` under a seed, of one of several models. */
export async function runDecisions(models: readonly Model[], seed: number, run: number): Promise<RunResult> {
  const model = models[run % models.length]!;
  const { backend } = model;
  const clock = makeClock(CLOCKS[Math.floor(run / models.length) % CLOCKS.length]!, seed, run);
  const sharedBudget = newBudget(backend, clock);
  const scheduler = new Scheduler(backend, { width: 1 + (run % 64) });
  const count = 1 + Math.floor(randomOf(seed, run, 15)() * 4);
  const requests = Array.from({ length: count }, (_, i) =>
    makeDecision(model, randomOf(seed, run, i), sharedBudget.decisionCost, RULES[run % RULES.length]!),
  );
  const prefixes = new PrefixCache(scheduler);
  // one comes before the others, and leaves them its input
  const first = await serve(requests[0]!, sharedBudget, scheduler, { prefixes });
  const others = requests.slice(1).map((request) => serve(request, sharedBudget, scheduler, { prefixes }));
  const outcomes = [first, ...(await Promise.all(others))];
  const limits: Record<string, number> = {};
  const failures: string[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    const name = outcome.spending === undefined ? "refused" : (outcome.spending.limitedBy ?? "nothing");
    for (const each of (outcome.decision?.usage.cachedTokens ?? 0) === 0 ? [name] : [name, "with an input taken over"])
      limits[each] = (limits[each] ?? 0) + 1;
    const wrong = [...checkOutcome(requests[i]!, outcome, backend), ...(await checkBits(requests[i]!, outcome, backend))];
    failures.push(...wrong.map((what) => `${what}\n    ${JSON.stringify(requests[i]!.sources)}`));
  }
  if (sharedBudget.admission.taken > 0) failures.push(`${sharedBudget.admission.taken} reservations were not given back`);
  prefixes.clear();
  const { owners } = backend.memory();
  if ((owners["kv cache"] ?? 0) + (owners["rows"] ?? 0) + (owners["prefixes"] ?? 0) > 0)
    failures.push(`memory was not given back: ${JSON.stringify(owners)}`);
  const answered = outcomes.filter(({ spending }) => spending !== undefined).length;
  return { requests: count, answered, refused: count - answered, limits, failures };
}

function newBudget(backend: Backend, clock: Clock): SharedBudget {
  return new SharedBudget({ shape: backend.config, calibration: CALIBRATION, clock });
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

function makeDecision(model: Model, random: Random, cost: DecisionCost, rule: ExitRule): Request {
  const below = (n: number): number => Math.floor(random() * n);
  const text = (most: number): string => ALPHABET.slice(below(9), 10 + below(most));
  const questions = Array.from({ length: 1 + below(4) }, (): Question => {
    const kind = (["predicate", "choice", "score"] as const)[below(3)]!;
    if (kind === "predicate") return { kind, instructions: text(6) };
    return { kind, instructions: text(6), options: Array.from({ length: 1 + below(5) }, () => ({ text: text(4) })) };
  });
  const input = random() < 0.7 ? ALPHABET.slice(0, 8 + below(18)) : text(16); // many begin alike
  const prepared = prepareDecision(model, { input, questions }, random() < 0.3 ? { passBytes: 1 } : {});
  const least = (criterion: ExitRule["criterion"]): number =>
    prepared.shape.passes.reduce((sum, pass) => sum + cost.pass(pass, 1, criterion), 0);
  const arrival = random() < 0.5 ? 0 : below(6);
  // some of a run ask alike and without bounds, so that inputs are taken over
  const isFree = random() < 0.5;
  return { prepared, sources: isFree ? { body: { exit: rule, iterations: 6 } } : makeSources(random, least, RULES).sources, arrival };
}

interface Serving {
  readonly defaults?: GrantDefaults;
  /** What inputs are taken over from. [default nothing] */
  readonly prefixes?: PrefixCache;
}

async function serve(
  { prepared, sources, arrival }: Request,
  shared: SharedBudget,
  scheduler: Scheduler,
  { defaults = DEFAULTS, prefixes }: Serving = {},
): Promise<Outcome> {
  for (let turn = 0; turn < arrival; turn++) await new Promise((resolve) => setImmediate(resolve));
  const timer = shared.arrive();
  const grant = shared.grant(sources, defaults, PRICE);
  const account = { units: 0 };
  let controller: DecisionController | undefined;
  const lane = scheduler.lane({ deadlineMs: grant.latencyMs, isOverdue: () => controller?.isOverdue === true });
  const holds: PrefixHold[] = [];
  let succeeded = false;
  try {
    const onlyKeeps = !shared.coversDecision(grant, prepared.shape);
    const taking =
      prefixes === undefined
        ? prepared
        : withPrefixes(prepared, (tokens, coda) => {
            const iterations = coda === "none" ? 1 : Math.min(grant.iterations, grant.totalIterations);
            const terms = { exit: grant.exit, cache: passCache(lane.config), iterations, limitBytes: 1 << 17, minTokens: 3 };
            holds.push(prefixes.find(lane, tokens, { ...terms, onlyKeeps, coda }));
            return holds.at(-1)!;
          });
    controller = shared.openDecision(grant, taking.shape, timer);
    const decision = await decide(taking, { policy: controller, exit: grant.exit, backend: audited(lane, grant, account) });
    succeeded = true;
    return { grant, decision, spending: controller.report(), accountUnits: account.units, error: undefined };
  } catch (error) {
    controller?.abandon();
    return { grant, decision: undefined, spending: undefined, accountUnits: account.units, error };
  } finally {
    for (const hold of holds) hold.release(succeeded);
  }
}

/** Counts what is asked of a backend, call by call, independently of the controller's books. */
function audited(backend: Backend, { exit }: Grant, account: { units: number }): Backend {
  const cost = decisionCost(backend.config, CALIBRATION.weights);
  const callUnits = cost.unlooked({ rows: 0, seen: 0 });
  const load = (rows: readonly Row[]) => ({ rows: rows.length, seen: rows.reduce((sum, { position }) => sum + position + 1, 0) });
  const own: Partial<Backend> = {
    async prelude(inputs) {
      const rows = await backend.prelude(inputs);
      if (rows.length > 0) account.units += cost.prelude(load(rows)) - 2 * callUnits;
      return rows;
    },
    async iterate(rows) {
      await backend.iterate(rows);
      account.units += cost.unlooked(load(rows));
    },
    measure(rows) {
      account.units += cost.iteration(load(rows), exit.criterion) - cost.unlooked(load(rows));
      return backend.measure(rows);
    },
    readout(rows, heads, tokens) {
      const { rows: count, seen } = load(rows);
      const logits = heads.length * (tokens?.length ?? backend.config.vocabSize);
      account.units += cost.read({ rows: count, seen, heads: heads.length, headsSeen: load(heads).seen, logits });
      return backend.readout(rows, heads, tokens);
    },
  };
  return new Proxy(backend, {
    get(target, name) {
      if (name in own) return own[name as keyof Backend];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What must hold whatever happened. */
function checkOutcome(
  { prepared, sources }: Request,
  { grant, decision, spending, accountUnits, error }: Outcome,
  backend: Backend,
): string[] {
  const wrong: string[] = [];
  for (const [source, budget] of Object.entries(sources) as [string, Budget][])
    if (!isWithin(grant.budget, budget)) wrong.push(`what ${source} said was dropped: granted ${JSON.stringify(grant.budget)}`);
  if (!(accountUnits <= grant.units)) wrong.push(`spent ${accountUnits} of ${grant.units} units`);
  if (spending === undefined || decision === undefined) {
    if (!(error instanceof FathomError) || !["budget_infeasible", "budget_exhausted"].includes(error.code))
      wrong.push(`threw ${String(error)}`);
    else if (error.code === "budget_infeasible" && accountUnits > 0) wrong.push(`was refused after ${accountUnits} units of work`);
    if (error instanceof InfeasibleError) wrong.push(...checkMinimum(prepared, sources, error, backend));
    return wrong;
  }
  if (!(spending.units <= grant.units)) wrong.push(`reports ${spending.units} of ${grant.units} units`);
  if (accountUnits > spending.units * (1 + 1e-9)) wrong.push(`reports ${spending.units} units, ran ${accountUnits}`);
  if (accountUnits < spending.units * 0.7) wrong.push(`reports ${spending.units} units, ran only ${accountUnits}`);
  if (spending.iterations > grant.totalIterations || spending.iterations !== decision.iterations.total)
    wrong.push(`${decision.iterations.total} iterations, reports ${spending.iterations} of ${grant.totalIterations}`);
  if (spending.rowIterations !== decision.iterations.rowIterations) wrong.push("row iterations differ");
  const leaves = prepared.passes.flatMap(({ questions }) => questions.flatMap((question) => question.leaves)).length;
  if (spending.converged + spending.capped !== leaves) wrong.push("exits do not add up");
  if (decision.answers.some(({ iterations }) => iterations > grant.iterations)) wrong.push("more iterations than granted");
  if (decision.answers.some(({ iterations }) => iterations < grant.minIterations)) wrong.push("fewer iterations than the minimum");
  if (spending.limitedBy === null && spending.capped > 0) wrong.push("says that nothing limited it, but something did");
  return wrong;
}

/** The minimum named must be enough, and no more than what is needed. */
function checkMinimum({ shape }: PreparedDecision, sources: BudgetSources, { minimum }: InfeasibleError, backend: Backend): string[] {
  if (minimum.units === 0) return []; // refused for the load of the moment
  // the depth that was granted, as moving a bound into the body would ask for more
  const { budget, iterations } = newBudget(backend, frozenClock()).grant(sources, DEFAULTS, PRICE);
  const asked: Budget = { ...budget, iterations };
  const feasible = (factor: number): boolean => {
    const shared = newBudget(backend, frozenClock());
    const body: Budget = {
      ...asked,
      ...(minimum.latencyMs !== undefined && { latencyMs: Math.max(asked.latencyMs!, minimum.latencyMs * factor) }),
      ...(minimum.costUsd !== undefined && { costUsd: Math.max(asked.costUsd!, minimum.costUsd * factor) }),
      ...(minimum.totalIterations !== undefined && { totalIterations: Math.max(asked.totalIterations!, minimum.totalIterations) }),
    };
    try {
      shared.openDecision(shared.grant({ body }, DEFAULTS, PRICE), shape, shared.arrive()).abandon();
      return true;
    } catch {
      return false;
    }
  };
  return feasible(1 + 1e-6) ? [] : [`the minimum ${JSON.stringify(minimum)} is not enough`];
}

/** As far as an answer went, its numbers are those of the same decision without any limit, alone. */
async function checkBits({ prepared, sources }: Request, { grant, decision, spending }: Outcome, backend: Backend): Promise<string[]> {
  if (decision === undefined || spending === undefined) return [];
  const body: Budget = { exit: grant.exit, minIterations: grant.exit.minIterations ?? 0 };
  const free = await serve({ prepared, sources: { body }, arrival: 0 }, newBudget(backend, frozenClock()), new Scheduler(backend), {
    defaults: BOUNDLESS,
  });
  return decision.answers.flatMap((answer, i) => {
    const other = free.decision!.answers[i]!;
    const isWhole = spending.limitedBy === null;
    // leaves of a question that is cut into passes may have been cut at different depths
    const least = decision.iterations.passes > 1 ? grant.minIterations : answer.iterations;
    const upTo = ({ history }: Answer): unknown => history.filter(({ iteration }) => iteration <= least);
    const [mine, theirs] = isWhole ? [answer, other] : [upTo(answer), upTo(other)];
    if (decision.form === "likelihood" && !isWhole) return []; // it is read at its end alone
    return JSON.stringify(mine) === JSON.stringify(theirs)
      ? []
      : [`question ${i} differs from what it is without limits (${JSON.stringify(sources)})`];
  });
}

/**
 * Random runs: a few requests with random budgets share one isolate under one clock. Every request is checked against
 * an account of its own, kept at the backend's calls, and against itself with the limit lifted that it names.
 */
import type { Backend, Row } from "../../engine/port/backend.ts";
import { isWithin, type Budget } from "../../engine/budget/budget.ts";
import { frozenClock, realClock, type Clock } from "../../engine/budget/clock.ts";
import type { CostModel } from "../../engine/budget/cost.ts";
import type { BudgetController, Spending } from "../../engine/budget/controller.ts";
import { InfeasibleError, type Grant, type GrantDefaults } from "../../engine/budget/grant.ts";
import { costOf } from "../../engine/budget/report.ts";
import { SharedBudget } from "../../engine/budget/shared-budget.ts";
import { parseCacheStrategy, type CacheStrategy } from "../../engine/cache-strategy.ts";
import { generate, type GeneratedToken } from "../../engine/decode/generate.ts";
import { GREEDY } from "../../engine/decode/sample.ts";
import { generateSeveral } from "../../engine/decode/several.ts";
import type { DepthPolicy } from "../../engine/depth-policy.ts";
import { FathomError } from "../../engine/errors.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { isCausal } from "../../engine/port/prefix.ts";
import { uniform } from "../../engine/random.ts";
import { PrefixCache, type PrefixHold } from "../../engine/schedule/prefix-cache.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { CALIBRATION, DEFAULTS, makeRequest, PRICE, type BudgetRequest } from "./requests.ts";
import { checkFree, checkNamed, type Rerun } from "./truth.ts";

export type ClockKind = "frozen" | "jumping" | "backwards" | "nonsense" | "io";
const OTHER_CLOCKS: readonly ClockKind[] = ["jumping", "backwards", "nonsense", "io"];

/** What a request came to. */
interface Outcome {
  readonly grant: Grant;
  readonly tokens: readonly GeneratedToken[];
  readonly spending: Spending | undefined;
  /** By the calls that the backend was asked for. */
  readonly accountUnits: number;
  readonly error: unknown;
  readonly elapsedMs: number;
  /** Prompt tokens taken over from earlier requests. */
  readonly cachedRows: number;
}

interface World {
  readonly backend: Backend;
  readonly sharedBudget: SharedBudget;
  readonly clock: Clock;
  /** Nobody else was served, under a clock that stands. */
  readonly isAlone: boolean;
}

export interface RunResult {
  readonly requests: number;
  readonly answered: number;
  readonly refused: number;
  /** By limit, for a look at what the runs cover. */
  readonly limits: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
}

/** Run number `run` under a seed; one in four has a clock that is not frozen. */
export async function runBudgets(backend: Backend, seed: number, run: number): Promise<RunResult> {
  const other = run % 4 === 3;
  const clock = makeClock(other ? OTHER_CLOCKS[Math.floor(run / 4) % OTHER_CLOCKS.length]! : "frozen", seed, run);
  const sharedBudget = newTreasury(backend, clock);
  const count = 1 + Math.floor(uniform(seed, run, 1 << 20) * 4);
  const requests = Array.from({ length: count }, (_, i) => makeRequest(seed, run, i, sharedBudget.cost, backend.config.vocabSize));
  const scheduler = new Scheduler(backend, { width: 1 + (run % 24) });
  const prefixes = new PrefixCache(scheduler);
  // one comes before the others, and leaves them its prompt
  const first = await serve(requests[0]!, sharedBudget, scheduler, { prefixes });
  const others = requests.slice(1).map((request) => serve(request, sharedBudget, scheduler, { prefixes }));
  const outcomes = [first, ...(await Promise.all(others))];

  const limits: Record<string, number> = {};
  const failures: string[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    const name = outcome.spending === undefined ? "refused" : (outcome.spending.limitedBy ?? "nothing");
    for (const each of outcome.cachedRows === 0 ? [name] : [name, "with a prompt taken over"]) limits[each] = (limits[each] ?? 0) + 1;
    const world = { backend, sharedBudget, clock, isAlone: count === 1 && !other };
    const wrong = [...checkOutcome(requests[i]!, outcome, world), ...(await checkTruth(requests[i]!, outcome, world))];
    failures.push(...wrong.map((what) => `${what}\n    ${JSON.stringify(requests[i])}`));
  }
  if (sharedBudget.admission.taken > 0) failures.push(`${sharedBudget.admission.taken} reservations were not given back`);
  prefixes.clear();
  const { owners } = backend.memory();
  if ((owners["kv cache"] ?? 0) + (owners["prefixes"] ?? 0) > 0) failures.push(`memory was not given back: ${JSON.stringify(owners)}`);
  const answered = outcomes.filter((o) => o.spending !== undefined).length;
  return { requests: count, answered, refused: count - answered, limits, failures };
}

function newTreasury(backend: Backend, clock: Clock): SharedBudget {
  return new SharedBudget({ shape: backend.config, calibration: CALIBRATION, clock });
}

export function makeClock(kind: ClockKind, seed: number, run: number): Clock {
  let [now, reads] = [1000, 0];
  const random = (): number => uniform(seed + 1, run, reads++);
  switch (kind) {
    case "frozen":
      return frozenClock();
    case "jumping":
      return realClock(() => (now += random() < 0.02 ? 1e6 : random() * 1e-4));
    case "backwards":
      return realClock(() => (now -= random()));
    case "nonsense":
      return realClock(() => [NaN, Infinity, -Infinity, now++, -1e308, 1e308][Math.floor(random() * 6)]!);
    case "io":
      return realClock(() => (now += reads++ % 8 === 0 ? 1e-3 : 0));
  }
}

interface Serving {
  readonly defaults?: GrantDefaults;
  /** What prompts are taken over from. [default nothing] */
  readonly prefixes?: PrefixCache;
}

async function serve(
  request: BudgetRequest,
  sharedBudget: SharedBudget,
  scheduler: Scheduler,
  { defaults = DEFAULTS, prefixes }: Serving = {},
): Promise<Outcome> {
  for (let turn = 0; turn < request.arrival; turn++) await new Promise((resolve) => setImmediate(resolve));
  const timer = sharedBudget.arrive();
  const grant = sharedBudget.grant(request.sources, defaults, PRICE);
  const account = { units: 0 };
  const tokens: GeneratedToken[] = [];
  let controller: BudgetController | undefined;
  let hold: PrefixHold | undefined;
  const outcome = (spending: Spending | undefined, error?: unknown): Outcome => ({
    grant,
    tokens,
    spending,
    accountUnits: account.units,
    error,
    elapsedMs: timer.predictedMs,
    cachedRows: hold?.found?.length ?? 0,
  });
  try {
    const { choices, prompt } = request;
    const lane = scheduler.lane({ deadlineMs: grant.latencyMs, isOverdue: () => controller?.isOverdue === true });
    hold = prefixes?.find(lane, prompt, {
      exit: grant.exit,
      cache: cacheOf(grant),
      iterations: Math.min(grant.iterations, grant.totalIterations),
      limitBytes: 1 << 17,
      minTokens: 3,
      onlyKeeps: !sharedBudget.coversAll(grant, prompt.length, { choices }),
    });
    const cachedRows = hold?.found?.length;
    controller = sharedBudget.open(grant, prompt.length, timer, { choices, ...(cachedRows !== undefined && { cachedRows }) });
    const backend = audited(lane, sharedBudget.cost, grant, account);
    let finish: "stop" | "length" = "stop";
    let longest = 0;
    for await (const token of tokensOf(backend, request, grant, controller, hold)) {
      tokens.push(token);
      if (token.finish !== "length") continue;
      finish = token.finish;
      longest = Math.max(longest, token.index + 1);
    }
    hold?.release(true);
    return outcome(controller.report(finish, callsOf(tokens), longest));
  } catch (error) {
    const isLate = error instanceof FathomError && error.code === "budget_exhausted" && grant.onExhausted !== "error";
    if (controller === undefined || !isLate || tokens.length === 0) {
      controller?.abandon();
      return outcome(undefined, error);
    }
    controller.expire();
    return outcome(controller.report("length", callsOf(tokens), Math.max(...tokens.map(({ index }) => index + 1))));
  } finally {
    hold?.release(false);
  }
}

/** One that lets prompts share their beginnings, where the rule does. */
function cacheOf({ exit }: Grant): CacheStrategy {
  return parseCacheStrategy(isCausal(exit) ? "latest-m1-compress-s1" : "full");
}

/** Tokens of one completion, or of several in turn. */
async function* tokensOf(
  backend: Backend,
  { prompt, choices }: BudgetRequest,
  grant: Grant,
  policy: BudgetController,
  hold: PrefixHold | undefined,
): AsyncGenerator<GeneratedToken> {
  const common = { prompt, maxTokens: grant.tokens, iterations: grant.iterations, cache: cacheOf(grant), stopTokens: new Set([0]) };
  const sharesPrompt = hold?.found !== undefined || hold?.keepIterations !== undefined;
  const options = { ...common, exit: sharesPrompt ? grant.exit : NEVER_EXIT };
  if (choices === 1 && !sharesPrompt) return yield* generate(backend, { ...options, policy });
  const sampling = choices === 1 ? GREEDY : { temperature: 1.2, seed: prompt.length };
  const policyOf = (choice: number): DepthPolicy => policy.choice(choice, choices);
  for await (const { token } of generateSeveral(backend, { ...options, sampling, count: choices, policyOf, prefix: hold })) yield token;
}

/** Calls that gave tokens: the first ones of several completions come of one. */
function callsOf(tokens: readonly GeneratedToken[]): number {
  return tokens.filter(({ rows }) => rows > 0).length;
}

/** Counts what is asked of a backend, independently of the controller's ledger. */
function audited(backend: Backend, cost: CostModel, grant: Grant, account: { units: number }): Backend {
  const { criterion } = grant.exit;
  let inCall: readonly Row[] = [];
  const proxy: Backend = Object.create(backend, {
    config: { get: () => backend.config },
    name: { get: () => backend.name },
    maxRows: { get: () => backend.maxRows },
    pressure: { value: backend.pressure?.bind(backend) },
  }) as Backend;
  for (const name of [
    "openSequence",
    "branch",
    "closeSequence",
    "release",
    "latent",
    "truncate",
    "memory",
    "sequenceBytes",
    "recall",
  ] as const)
    Object.defineProperty(proxy, name, { value: (backend[name] as (...a: never[]) => unknown).bind(backend) });
  proxy.prelude = async (inputs) => {
    inCall = await backend.prelude(inputs);
    account.units += cost.prelude(inCall.length, contextOf(inCall)).units;
    return [...inCall];
  };
  proxy.iterate = async (rows) => {
    await backend.iterate(rows);
    account.units += cost.iteration(rows.length, contextOf(inCall)).units;
  };
  proxy.measure = (rows) => {
    account.units += cost.check(criterion, rows.length, inCall.length, contextOf(inCall)).units;
    return backend.measure(rows);
  };
  proxy.readout = (rows, heads) => {
    account.units += cost.readout(rows.length, contextOf(rows)).units;
    return backend.readout(rows, heads);
  };
  if (backend.argmax !== undefined)
    proxy.argmax = (rows, heads) => {
      account.units += cost.readout(rows.length, contextOf(rows)).units;
      return backend.argmax!(rows, heads);
    };
  return proxy;
}

function contextOf(rows: readonly Row[]): number {
  return rows.at(-1)!.position + 1;
}

/** What must hold whatever happened. */
function checkOutcome(request: BudgetRequest, outcome: Outcome, world: World): string[] {
  const { grant, tokens, spending, accountUnits, error } = outcome;
  const wrong: string[] = [];
  for (const [source, budget] of Object.entries(request.sources) as [string, Budget][])
    if (!isWithin(grant.budget, budget)) wrong.push(`what ${source} said was dropped: granted ${JSON.stringify(grant.budget)}`);
  if (!(accountUnits <= grant.units)) wrong.push(`spent ${accountUnits} of ${grant.units} units`);

  if (spending === undefined) {
    if (!(error instanceof FathomError) || !["budget_infeasible", "budget_exhausted"].includes(error.code))
      wrong.push(`threw ${String(error)}`);
    else if (error.code === "budget_infeasible" && accountUnits > 0) wrong.push(`was refused after ${accountUnits} units of work`);
    if (error instanceof InfeasibleError) wrong.push(...checkMinimum(request, error, world));
    return wrong;
  }

  if (Math.abs(spending.units - accountUnits) > 1e-9 * accountUnits) wrong.push(`reports ${spending.units} units, ran ${accountUnits}`);
  const total = tokens.reduce((sum, t) => sum + t.iterations, 0);
  if (total > grant.totalIterations || total !== spending.iterations) wrong.push(`${total} iterations, reports ${spending.iterations}`);
  if (tokens.some((t) => t.iterations > grant.iterations)) wrong.push("more iterations a token than granted");
  if (tokens.some(({ index }) => index >= grant.tokens)) wrong.push("more tokens than granted");
  const least = Math.min(grant.minIterations, grant.iterations);
  if (tokens.some((t) => t.rows > 0 && t.iterations < least && !t.exited)) wrong.push("fewer iterations than the minimum");
  if (grant.onExhausted !== "degrade" && grant.latencyMs === Infinity)
    if (tokens.some((t) => t.rows > 0 && !t.exited && t.iterations < grant.iterations))
      wrong.push(`${grant.onExhausted}, yet less than full depth`);
  if (spending.converged + spending.capped !== callsOf(tokens)) wrong.push("exits do not add up");
  const { sharedBudget } = world;
  const cost = costOf(spending, sharedBudget.arrive(), grant, sharedBudget.calibration);
  for (const [name, value] of Object.entries({ ...spending, ...cost }))
    if (typeof value === "number" && !(Number.isFinite(value) && value >= 0)) wrong.push(`reports ${name} ${value}`);
  return wrong;
}

/** The minimum named must be enough, and no more than what is needed. */
function checkMinimum({ sources, prompt, choices }: BudgetRequest, { minimum }: InfeasibleError, { backend, clock }: World): string[] {
  if (minimum.units === 0) return []; // refused for the load of the moment
  // the depth and the length that were granted, as moving a bound into the body would ask for more
  const { budget, iterations, tokens } = newTreasury(backend, clock).grant(sources, DEFAULTS, PRICE);
  const asked: Budget = { ...budget, iterations, tokens };
  const feasible = (factor: number): boolean => {
    const sharedBudget = newTreasury(backend, { now: () => 0, moves: clock.moves ?? false });
    const body: Budget = {
      ...asked,
      ...(minimum.latencyMs !== undefined && { latencyMs: Math.max(asked.latencyMs!, minimum.latencyMs * factor) }),
      ...(minimum.costUsd !== undefined && { costUsd: Math.max(asked.costUsd!, minimum.costUsd * factor) }),
      ...(minimum.totalIterations !== undefined && { totalIterations: Math.max(asked.totalIterations!, minimum.totalIterations) }),
    };
    try {
      sharedBudget.open(sharedBudget.grant({ body }, DEFAULTS, PRICE), prompt.length, sharedBudget.arrive(), { choices });
      return true;
    } catch {
      return false;
    }
  };
  if (!feasible(1 + 1e-6)) return [`the minimum ${JSON.stringify(minimum)} is not enough`];
  const isTight = minimum.totalIterations !== undefined || !feasible(1 - 1e-6);
  return isTight ? [] : [`less than the minimum ${JSON.stringify(minimum)} is enough`];
}

/** Whether `limitedBy` is true; see truth.ts. */
async function checkTruth(request: BudgetRequest, outcome: Outcome, { backend, isAlone }: World): Promise<string[]> {
  const { grant, spending, tokens, cachedRows } = outcome;
  if (spending === undefined) return [];
  if (cachedRows > 0) return checkTaken(request, outcome, backend);
  const run: Rerun = async (sources, defaults) => {
    const sharedBudget = newTreasury(backend, frozenClock());
    const outcome = await serve({ ...request, arrival: 0, sources }, sharedBudget, new Scheduler(backend), { defaults });
    return outcome.tokens.map((t) => t.rowIterations);
  };
  const mine = tokens.map((t) => t.rowIterations);
  const { limitedBy } = spending;
  const wrong = await checkFree(request.sources, limitedBy, mine, run);
  return wrong.length > 0 || limitedBy === null || !isAlone ? wrong : checkNamed(request.sources, limitedBy, mine, grant, run);
}

/** Whether what was taken over has changed nothing but what the prompt took. */
async function checkTaken(request: BudgetRequest, { tokens, spending, cachedRows }: Outcome, backend: Backend): Promise<string[]> {
  if (spending?.limitedBy === "latency") return []; // by a clock that jumps
  const alone = await serve({ ...request, arrival: 0 }, newTreasury(backend, frozenClock()), new Scheduler(backend));
  // the same time and money buy less of a prompt that is computed whole
  if (alone.spending === undefined || alone.spending.limitedBy === "latency" || alone.spending.limitedBy === "cost") return [];
  const said = (all: readonly GeneratedToken[]): string =>
    JSON.stringify(all.map(({ token, index, iterations }) => (index === 0 ? [token] : [token, iterations])));
  const wrong =
    said(tokens) === said(alone.tokens) ? [] : [`says ${said(tokens)} behind ${cachedRows} tokens, ${said(alone.tokens)} alone`];
  if (!(tokens[0]!.rows === request.prompt.length - cachedRows)) wrong.push(`ran ${tokens[0]!.rows} rows behind ${cachedRows} tokens`);
  return wrong;
}

/**
 * The budget at work on one request: a depth policy for the token loop. Before every call it says how deep, after every
 * iteration whether to go on, such that the grant is never exceeded, every promised token keeps its minimum depth, and
 * what converged rows save goes to those that need it. Decides from counts and exit values; knows no tensors.
 */
import type { ExitRule } from "../exit-rule.ts";
import type { Seat } from "./admission.ts";
import type { Timer } from "./clock.ts";
import type { Cause, Grant, Limit } from "./grant.ts";
import { chooseRung, ladderOf, type Ladder, type Rung } from "./ladder.ts";
import { Ledger } from "./ledger.ts";
import { callUnits, planRequest, ROUNDING, type PlanTerms, type RequestPlan } from "./plan.ts";
import { exhausted, Verdict } from "./verdict.ts";

/** The call, plan and report of decode/policy.ts, as far as they matter here. */
export interface CallShape {
  readonly index: number;
  readonly rows: number;
  readonly cached: number;
}

export interface CallPlan {
  readonly iterations: number;
  readonly exit: ExitRule;
}

export interface IterationReport {
  readonly iteration: number;
  readonly rows: number;
  /** Rows that want to run the next iteration; 0: the call is done. */
  readonly next: number;
  readonly exitValue: number | undefined;
  readonly readout: boolean;
}

export interface ControllerOptions extends PlanTerms {
  readonly grant: Grant;
  /** Tokens of the prompt. */
  readonly promptRows: number;
  /** Exit rules measured for this model, those that its cache and backend allow. [default the grant's rule alone] */
  readonly rungs?: readonly Rung[];
  /** Time since arrival. [default work is the only clock] */
  readonly timer?: Timer;
  /** Told what every piece of work took, in predicted milliseconds. */
  readonly onWork?: (ms: number) => void;
  /** The runtime's hard stop. [default never] */
  readonly stopped?: () => boolean;
}

/** How often a host may serve other requests between two of our iterations before we no longer believe it. */
const LARGEST_SLOWDOWN = 64;

/** A token may take this share of what is left beyond the promised minimum; savings of easy tokens so reach hard ones. */
const TOKEN_SHARE = 0.5;

export class BudgetController {
  readonly maxIterations: number;
  readonly plan0: RequestPlan;
  readonly #options: ControllerOptions;
  readonly #grant: Grant;
  readonly #ledger: Ledger;
  readonly #ladder: Ladder | undefined;
  #seat: Seat | undefined;
  #rung: Rung | undefined;
  /** Spending that the current call must not exceed, its readout included. */
  #callLimit = Infinity;
  #callIterations = 0;
  #index = -1;
  #wants = 0;
  #slowdown = 1;
  #seen = { elapsedMs: 0, units: 0 };
  readonly #verdict = new Verdict();
  #exited = 0;
  #promptUnits = 0;

  /** @throws {InfeasibleError} before any work, with what would do */
  constructor(options: ControllerOptions) {
    const { grant, promptRows, rungs = [] } = options;
    this.#options = options;
    this.#grant = grant;
    this.plan0 = planRequest(grant, promptRows, options);
    this.maxIterations = Math.min(grant.iterations, grant.totalIterations);
    this.#ledger = new Ledger(options.cost, (units) => options.onWork?.(this.#ms(units)));
    const mayChoose = grant.exitIsDefault && grant.onExhausted === "degrade";
    this.#ladder = mayChoose ? ladderOf(rungs, grant.exit) : undefined;
  }

  /** Units spent so far, the open call's readout not included. */
  get spentUnits(): number {
    return this.#ledger.units;
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Predicted milliseconds of the least that this request needs, and the core calls in it: what admission asks. */
  get minimum(): { readonly ms: number; readonly calls: number } {
    const { grant, promptRows, cost } = this.#options;
    return { ms: this.#ms(callUnits(cost, promptRows, promptRows, this.plan0.depth, grant.exit.criterion)), calls: this.plan0.depth };
  }

  /** A place among the requests of this isolate; given back by `report`. */
  takeSeat(seat: Seat): void {
    this.#seat = seat;
  }

  /** Whether the caller's time is over, landing margin included. */
  get isOverdue(): boolean {
    const { latencyMs } = this.#grant.budget;
    return latencyMs !== undefined && this.#options.timer !== undefined && this.#options.timer.elapsedMs > latencyMs;
  }

  /** The next token was dropped before its turn: it would have come too late. */
  expire(): void {
    this.#verdict.ended = "latency";
    this.#ledger.cancel();
  }

  plan(call: CallShape): CallPlan | undefined {
    this.#closeCall();
    const { index, rows } = call;
    const context = call.cached + rows;
    const limit = index > 0 ? this.#whyNot(index, context) : undefined;
    if (limit !== undefined) return this.#end(limit);
    this.#index = index;
    const iterations = this.#iterationsFor(index);
    this.#callLimit = this.#spendingLimit(index, rows, context);
    this.#rung = index === 0 ? this.#rungFor(rows, 0, rows, context) : undefined;
    const exit = this.#rung === undefined ? this.#grant.exit : this.#liveRule(this.#rung);
    this.#callIterations = iterations;
    this.#wants = rows;
    this.#ledger.open(rows, context, exit.criterion);
    return { iterations, exit };
  }

  proceed({ iteration, rows, next, exitValue, readout }: IterationReport): boolean {
    this.#ledger.iterate(rows, exitValue !== undefined, readout);
    this.#wants = next;
    this.#watchPace();
    if (next === 0) return true;
    if (this.#options.stopped?.() === true) return this.#cutHere("ceiling");
    if (iteration >= this.#callIterations || iteration < this.plan0.depth) return true;
    const step = this.#ledger.stepUnits(next);
    const landed = this.#ledger.units + step + this.#ledger.landingUnits;
    if (landed > this.#callLimit) return this.#cutHere(this.#grant.unitsLimit ?? "cost");
    if (this.#isLate(step)) return this.#cutHere("latency");
    this.#seat?.update(this.#ms(this.#ledger.landingUnits));
    if (this.#seat?.allows(this.#ms(step)) === false) return this.#cutHere("ceiling");
    this.#adjustRung(next);
    return true;
  }

  /** Closes the books. @param finish how the token loop ended; @param tokens how many it gave */
  report(finish: "stop" | "length", tokens: number): Spending {
    this.#closeCall();
    this.#seat?.release();
    return {
      units: this.#ledger.units,
      promptUnits: this.#promptUnits,
      iterations: this.#ledger.iterations,
      rowIterations: this.#ledger.rowIterations,
      converged: this.#exited,
      capped: Math.max(0, tokens - this.#exited),
      limitedBy: this.#verdict.limitedBy(this.#grant, finish, tokens),
    };
  }

  /** Gives the place back where the token loop ended without a report. */
  abandon(): void {
    this.#seat?.release();
  }

  /** Why a further token cannot be had; undefined: it can. */
  #whyNot(index: number, context: number): Cause | undefined {
    const { cost, stopped, timer } = this.#options;
    const { units, totalIterations, exit } = this.#grant;
    if (stopped?.() === true) return "ceiling";
    if (this.#ledger.iterations + this.plan0.depth > totalIterations) return "total";
    const least = callUnits(cost, 1, context, this.plan0.depth, exit.criterion);
    if (this.#ledger.units + least + this.plan0.reserveFrom(index + 1) > units * (1 - ROUNDING)) return this.#grant.unitsLimit ?? "cost";
    if (timer !== undefined && this.#misses(timer, least)) return "latency";
    return undefined;
  }

  /** Iterations that a call may run, those kept for promised tokens left out. */
  #iterationsFor(index: number): number {
    const { iterations, totalIterations } = this.#grant;
    const promisedAfter = Math.max(0, this.plan0.promised - 1 - index);
    const free = totalIterations - this.#ledger.iterations - promisedAfter * this.plan0.depth;
    return Math.max(this.plan0.depth, Math.min(iterations, free));
  }

  /** Spending at which a call must have landed. The prompt may take all that is not promised. */
  #spendingLimit(index: number, rows: number, context: number): number {
    const { cost, grant } = this.#options;
    const { criterion } = grant.exit;
    const afterwards = this.plan0.reserveFrom(index + 1);
    const limit = grant.units * (1 - ROUNDING) - afterwards;
    const tokensLeft = grant.tokens - index;
    if (grant.onExhausted !== "degrade" || tokensLeft === 1 || !Number.isFinite(limit)) return limit;
    const least = callUnits(cost, rows, context, this.plan0.depth, criterion);
    const free = Math.max(0, limit - this.#ledger.units - least);
    if (index > 0) return this.#ledger.units + least + free * Math.max(TOKEN_SHARE, 1 / tokensLeft);
    // the next token is to be thought about as deeply as the prompt, as it may end the answer
    const oneRow = cost.iteration(1, context + 1).units + cost.check(criterion, 1, 1, context + 1).units;
    const step = cost.iteration(rows, context).units + cost.check(criterion, rows, rows, context).units;
    const deeper = Math.min(grant.iterations - this.plan0.depth, free / (step + oneRow));
    return limit - Math.max(0, deeper) * oneRow;
  }

  /** @param active rows that still think, of `rows` */
  #rungFor(active: number, iteration: number, rows: number, context: number): Rung | undefined {
    if (this.#ladder === undefined) return undefined;
    const { cost } = this.#options;
    const { criterion } = this.#grant.exit;
    const fixed = iteration === 0 ? callUnits(cost, rows, context, 0, criterion) : this.#ledger.landingUnits;
    const rowUnits = (cost.iteration(rows, context).units + cost.check(criterion, rows, rows, context).units) / rows;
    const rung = chooseRung(this.#ladder, active, iteration, rowUnits, this.#callLimit - this.#ledger.units - fixed);
    this.#verdict.loosened ||= rung !== this.#ladder.careful;
    return rung;
  }

  /** Lets the threshold follow what the call has cost so far; between criteria it cannot change midway. */
  #adjustRung(active: number): void {
    const { call } = this.#ledger;
    if (this.#rung === undefined || call === undefined || this.#ladder!.cheap.exit.criterion !== this.#ladder!.careful.exit.criterion)
      return;
    this.#rung = this.#rungFor(active, call.iterations, call.rows, call.context);
  }

  /** The chosen rung's rule; its threshold follows when the choice changes within the call. */
  #liveRule({ exit }: Rung): ExitRule {
    const current = (): number => this.#rung?.exit.threshold ?? exit.threshold;
    return {
      ...exit,
      minIterations: this.#grant.exit.minIterations ?? 0,
      get threshold() {
        return current();
      },
    };
  }

  /** How much slower time passes than our own work would explain: others are served in between. */
  #watchPace(): void {
    const { timer } = this.#options;
    if (timer === undefined) return;
    const { elapsedMs } = timer;
    const own = this.#ms(this.#ledger.units - this.#seen.units);
    const pace = own > 0 ? Math.min(LARGEST_SLOWDOWN, (elapsedMs - this.#seen.elapsedMs) / own) : 1;
    this.#slowdown = Math.max(1, (this.#slowdown + pace) / 2);
    this.#seen = { elapsedMs, units: this.#ledger.units };
  }

  /** Whether one more step would let the landing and the promised tokens miss the deadline. */
  #isLate(step: number): boolean {
    const { timer } = this.#options;
    return timer !== undefined && this.#misses(timer, step + this.#ledger.landingUnits + this.plan0.reserveFrom(this.#index + 1));
  }

  /** Whether so much more work misses the deadline at the usual rate, or eats up the landing margin at the careful one. */
  #misses({ elapsedMs }: Timer, units: number): boolean {
    const { latencyMs, budget, msPerUnit } = this.#grant;
    const usual = this.#slowdown * this.#ms(units);
    const careful = Math.max(usual, units * Math.max(msPerUnit, this.#options.calibration.msPerUnit.p95));
    return elapsedMs + usual > latencyMs || elapsedMs + careful > (budget.latencyMs ?? Infinity);
  }

  #cutHere(cause: Cause): false {
    if (this.#grant.onExhausted === "error") throw exhausted(cause);
    this.#verdict.cut ??= cause;
    return false;
  }

  #end(cause: Cause): undefined {
    if (this.#grant.onExhausted === "error") throw exhausted(cause);
    this.#verdict.ended = cause;
  }

  #closeCall(): void {
    const { call } = this.#ledger;
    if (call === undefined) return;
    if (this.#wants === 0) this.#exited++;
    else if (call.iterations >= this.#callIterations)
      this.#verdict.cap(this.#callIterations < this.#grant.iterations ? "total" : "iterations");
    this.#ledger.close();
    if (this.#index === 0) this.#promptUnits = this.#ledger.units;
  }

  #ms(units: number): number {
    return units * this.#grant.msPerUnit;
  }
}

/** What a request came to. */
export interface Spending {
  readonly units: number;
  /** Of them, for the prompt and the first token. */
  readonly promptUnits: number;
  readonly iterations: number;
  readonly rowIterations: number;
  /** Tokens that their exit rule ended, and tokens that something else did. */
  readonly converged: number;
  readonly capped: number;
  readonly limitedBy: Limit | null;
}

/**
 * The budget at work on one request: a depth policy for the token loop. Before every call it says how deep, after every
 * iteration whether to go on, such that the grant is never exceeded, every promised token keeps its minimum depth, and
 * what converged rows save goes to those that need it. Decides from counts and exit values; knows no tensors.
 */
import type { CallPlan, CallReport, CallShape, DepthPolicy, IterationReport } from "../depth-policy.ts";
import type { ExitRule } from "../exit-rule.ts";
import { iterationsFor, leastUnits, spendingLimit, whatLacks } from "./call-limits.ts";
import type { LimitCause, Grant, LimitedBy } from "./grant.ts";
import { chooseExit, exitChoiceOf, type ExitChoice, type MeasuredExit } from "./exit-choice.ts";
import type { HostTerms } from "./host-terms.ts";
import { Ledger } from "./ledger.ts";
import { unitsAfter, type CompletionNeed } from "./need.ts";
import { Pace } from "./pace.ts";
import { planCallsAhead, type AheadCall, type AheadTerms } from "./plan-ahead.ts";
import { callUnits, type PlanTerms, type RequestPlan } from "./plan.ts";
import { exhausted, LimitRecord } from "./limited-by.ts";

export interface ControllerOptions extends PlanTerms, HostTerms {
  /** What the grant promises at least, by `planRequest`. */
  readonly plan: RequestPlan;
  /** Tokens of the prompt. */
  readonly promptRows: number;
  /** Exit rules measured for this model, those that its cache and backend allow. [default the grant's rule alone] */
  readonly measuredExits?: readonly MeasuredExit[];
  /** Work that the request is to get whatever the others do. [default nothing beyond the least] */
  readonly need?: CompletionNeed;
  /** Called with what a request took that nothing cut short: iterations of its prompt's rows in the mean, and its calls. [default nobody] */
  readonly onWhole?: (iterations: number, calls: number) => void;
}

/** The depth policy that keeps a completion within its grant. */
export class BudgetController implements DepthPolicy {
  readonly maxIterations: number;
  readonly #options: ControllerOptions;
  readonly #grant: Grant;
  readonly #plan: RequestPlan;
  readonly #ledger: Ledger;
  readonly #pace: Pace;
  readonly #exitChoice: ExitChoice | undefined;
  /** The measured rule of the open call, where there is a choice. */
  #chosen: MeasuredExit | undefined;
  /** Spending that the current call must not exceed, its readout included. */
  #callLimit = Infinity;
  #callIterations = 0;
  /** Calls that were planned ahead and have not been reconciled yet. */
  #ahead: readonly AheadCall[] = [];
  #index = -1;
  #wants = 0;
  readonly #limits = new LimitRecord();
  #exited = 0;
  #promptUnits = 0;
  /** Iterations of the prompt's rows, in the mean. */
  #promptIterations = 0;

  constructor(options: ControllerOptions) {
    const { grant, plan, measuredExits = [] } = options;
    this.#options = options;
    this.#grant = grant;
    this.#plan = plan;
    this.#pace = new Pace(options.timer, grant, options.calibration, options);
    this.maxIterations = Math.min(grant.iterations, grant.totalIterations);
    this.#ledger = new Ledger(options.cost, (units) => {
      options.onWork?.(this.#ms(units));
      options.reservation?.spend(this.#ms(units), this.#leastMs(), this.#laterMs());
    });
    const mayChoose = grant.exitIsDefault && grant.onExhausted === "degrade";
    this.#exitChoice = mayChoose ? exitChoiceOf(measuredExits, grant.exit) : undefined;
  }

  /** Units spent so far, the open call's readout not included. */
  get spentUnits(): number {
    return this.#ledger.units;
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Whether the caller's time is over, safety margin included. */
  get isOverdue(): boolean {
    return this.#pace.isOverdue;
  }

  /** The next token was dropped before its turn: it would have come too late. */
  expire(): void {
    this.#limits.ended = "latency";
    this.#ledger.cancel();
  }

  plan(call: CallShape): CallPlan | undefined {
    this.#closeCall();
    const { index, rows } = call;
    const context = call.cached + rows;
    const limit = index > 0 ? this.#whyNot(index, context) : undefined;
    if (limit !== undefined) return this.#end(limit);
    this.#index = index;
    const iterations = iterationsFor(this.#terms, this.#ledger, index);
    this.#callLimit = spendingLimit(this.#terms, this.#ledger, index, rows, context);
    this.#chosen = index === 0 ? this.#exitFor(rows, 0, rows, context) : undefined;
    const exit =
      this.#chosen === undefined ? this.#grant.exit : { ...this.#chosen.exit, minIterations: this.#grant.exit.minIterations ?? 0 };
    this.#callIterations = iterations;
    this.#wants = rows;
    this.#ledger.open(rows, context, exit.criterion);
    return { iterations, exit };
  }

  proceed({ iteration, rows, next, exitValue, readout }: IterationReport, exit: ExitRule): ExitRule | undefined {
    this.#ledger.iterate(rows, exitValue !== undefined, readout);
    this.#wants = next;
    this.#pace.expect(this.#ledger.readoutUnits);
    if (next === 0) return exit;
    const { isCpuLimitNear, reservation } = this.#options;
    if (isCpuLimitNear?.() === true) return this.#cutHere("ceiling");
    if (iteration >= this.#callIterations || iteration < this.#plan.depth) return exit;
    const step = this.#ledger.stepUnits(next);
    const { readoutUnits } = this.#ledger;
    if (this.#ledger.units + step + readoutUnits > this.#callLimit) return this.#cutHere(this.#grant.unitsLimit ?? "cost");
    // one more step must leave time for the readout and the promised tokens
    if (this.#pace.misses(step + readoutUnits + this.#plan.reserveFrom(this.#index + 1))) return this.#cutHere("latency");
    if (reservation?.allows(this.#ms(step)) === false) return this.#cutHere("ceiling");
    return this.#adjusted(exit, next);
  }

  /** The policy of one of several completions whose calls come in turn, all on this account. */
  choice(choice: number, count: number): DepthPolicy {
    return {
      maxIterations: this.maxIterations,
      plan: (call) => this.plan({ ...call, index: call.index === 0 ? 0 : 1 + (call.index - 1) * count + choice }),
      proceed: (report, exit) => this.proceed(report, exit),
      cancel: () => this.cancel(),
    };
  }

  cancel(): void {
    this.#ledger.cancel();
  }

  planAhead({ index, cached }: CallShape, count: number): readonly CallPlan[] {
    this.#closeCall();
    if (this.#options.isCpuLimitNear?.() === true) return this.#end("ceiling") ?? [];
    const calls = planCallsAhead(this.#terms, this.#ledger, index, cached, count);
    if (!Array.isArray(calls)) return this.#end(calls) ?? [];
    this.#index = index;
    this.#ahead = calls;
    return calls.map(({ iterations, cap }) => ({ iterations, cap, exit: this.#grant.exit }));
  }

  reconcile(reports: readonly CallReport[]): void {
    reports.forEach(({ iterations, checks, exited }, k) => {
      const { context, cap, cut } = this.#ahead[k]!;
      this.#ledger.open(1, context, this.#grant.exit.criterion);
      for (let t = 0; t < iterations; t++) this.#ledger.iterate(1, t < checks, false);
      if (!exited && cut !== undefined) this.#cutHere(cut);
      this.#callIterations = cap;
      this.#wants = exited ? 0 : 1;
      this.#closeCall();
    });
    this.#ahead = [];
  }

  /**
   * Closes the books.
   * @param finish how the token loop ended; of several completions "length", if one of them did
   * @param calls  how many gave tokens: of one completion, its tokens
   * @param tokens of the longest completion that ended so [default calls]
   */
  report(finish: "stop" | "length", calls: number, tokens = calls): Spending {
    this.#closeCall();
    this.#options.onEnded?.(this.#pace.excessMs());
    this.#options.reservation?.release();
    const limitedBy = this.#limits.limitedBy(this.#grant, finish, tokens);
    if (limitedBy === null || limitedBy === "tokens") this.#options.onWhole?.(this.#promptIterations, calls);
    return {
      units: this.#ledger.units,
      promptUnits: this.#promptUnits,
      iterations: this.#ledger.iterations,
      rowIterations: this.#ledger.rowIterations,
      converged: this.#exited,
      capped: Math.max(0, calls - this.#exited),
      limitedBy,
    };
  }

  /** Gives the place back where the token loop ended without a report. */
  abandon(): void {
    this.#options.reservation?.release();
  }

  /** What keeps a further token from being made; undefined where nothing does. */
  #whyNot(index: number, context: number): LimitCause | undefined {
    if (this.#options.isCpuLimitNear?.() === true) return "ceiling";
    const terms = this.#terms;
    const lack = whatLacks(terms, this.#ledger, index, context);
    if (lack !== undefined) return lack;
    const least = leastUnits(terms, context);
    if (this.#pace.misses(least)) return "latency";
    return this.#options.reservation?.allows(this.#ms(least), this.#laterMs(index)) === false ? "ceiling" : undefined;
  }

  get #terms(): AheadTerms {
    const { cost, grant, plan, reservation } = this.#options;
    return { cost, grant, plan, reservation, pace: this.#pace, laterMs: (index) => this.#laterMs(index) };
  }

  /** @param active rows that still think, of `rows` */
  #exitFor(active: number, iteration: number, rows: number, context: number): MeasuredExit | undefined {
    if (this.#exitChoice === undefined) return undefined;
    const { cost } = this.#options;
    const { criterion } = this.#grant.exit;
    const fixed = iteration === 0 ? callUnits(cost, rows, context, 0, criterion) : this.#ledger.readoutUnits;
    const rowUnits = (cost.iteration(rows, context).units + cost.check(criterion, rows, rows, context).units) / rows;
    const choose = (units: number): MeasuredExit => chooseExit(this.#exitChoice!, active, iteration, rowUnits, units);
    const granted = this.#callLimit - this.#ledger.units - fixed;
    const chosen = choose(Math.min(granted, this.#spareUnits));
    if (chosen !== this.#exitChoice.careful) this.#limits.loosenedBy ??= choose(granted) === chosen ? this.#grant.unitsLimit : "ceiling";
    return chosen;
  }

  /** The rule with a threshold that follows what the call has cost so far; between criteria it cannot change midway. */
  #adjusted(exit: ExitRule, active: number): ExitRule {
    const { call } = this.#ledger;
    const choice = this.#exitChoice;
    if (this.#chosen === undefined || choice === undefined || call === undefined) return exit;
    if (choice.cheap.exit.criterion !== choice.careful.exit.criterion) return exit;
    this.#chosen = this.#exitFor(active, call.iterations, call.rows, call.context) ?? this.#chosen;
    return { ...exit, threshold: this.#chosen.exit.threshold };
  }

  #cutHere(cause: LimitCause): undefined {
    if (this.#grant.onExhausted === "error") throw exhausted(cause);
    this.#limits.cut ??= cause;
    return undefined;
  }

  #end(cause: LimitCause): undefined {
    if (this.#grant.onExhausted === "error") throw exhausted(cause);
    this.#limits.ended = cause;
  }

  #closeCall(): void {
    const { call } = this.#ledger;
    if (call === undefined) return;
    if (this.#wants === 0) this.#exited++;
    else if (call.iterations >= this.#callIterations)
      this.#limits.cap(this.#callIterations < this.#grant.iterations ? "total" : "iterations");
    this.#ledger.close();
    if (this.#index > 0) return;
    this.#promptUnits = this.#ledger.units;
    this.#promptIterations = this.#ledger.rowIterations / call.rows;
  }

  /** Units that the others of the isolate leave. */
  get #spareUnits(): number {
    const { reservation } = this.#options;
    return reservation === undefined ? Infinity : reservation.spareMs / this.#grant.msPerUnit;
  }

  /** What the open call cannot do without, in predicted milliseconds. */
  #leastMs(): number {
    return this.#ms(this.#ledger.readoutUnits);
  }

  /** What the calls after one are to get, in predicted milliseconds. */
  #laterMs(index = this.#index): number {
    const { need } = this.#options;
    return need === undefined ? 0 : this.#ms(unitsAfter(need, Math.max(0, index)));
  }

  #ms(units: number): number {
    return units * this.#grant.msPerUnit;
  }
}

/** What a request came to. */
export interface Spending {
  readonly units: number;
  /** Work units of the prompt and the first token, a part of `units`. */
  readonly promptUnits: number;
  readonly iterations: number;
  readonly rowIterations: number;
  /** Tokens that their exit rule ended, and tokens that something else did; the first of several completions are one. */
  readonly converged: number;
  readonly capped: number;
  readonly limitedBy: LimitedBy | null;
}

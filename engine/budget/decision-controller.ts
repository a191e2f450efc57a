/**
 * The budget at work on one decision: before every pass it says how deep, after every iteration whether to go on, such
 * that the grant is never exceeded, every pass keeps its minimum depth, and what settled questions save goes to those
 * still undecided. Decides from counts of rows; knows no tensors.
 */
import type { CallPlan } from "../depth-policy.ts";
import type { DecisionPolicy, Load, PassShape, ReadLoad } from "../decision-policy.ts";
import type { ExitRule } from "../exit-rule.ts";
import type { Calibration } from "./calibration.ts";
import type { Spending } from "./controller.ts";
import type { DecisionCost } from "./decision-cost.ts";
import type { DecisionPlan } from "./decision-plan.ts";
import type { LimitCause } from "./grant.ts";
import type { HostTerms } from "./host-terms.ts";
import { exhausted, LimitRecord } from "./limited-by.ts";
import { Pace } from "./pace.ts";
import { ROUNDING } from "./plan.ts";

export interface DecisionControllerOptions extends HostTerms {
  /** What the grant promises at least, by `planDecision`. */
  readonly plan: DecisionPlan;
  readonly cost: DecisionCost;
  readonly calibration: Calibration;
  /** Units that passes from an index on are to get whatever the others do. [default the plan's least] */
  readonly needFrom?: (index: number) => number;
}

/** The depth policy that keeps a decision within its grant. */
export class DecisionController implements DecisionPolicy {
  readonly maxIterations: number;
  readonly #options: DecisionControllerOptions;
  readonly #pace: Pace;
  readonly #limits = new LimitRecord();
  /** Spending that the pass must not exceed, all reading included. */
  #passLimit = Infinity;
  #passIterations = 0;
  #index = 0;
  #wasCut = false;
  /** What the pass still has to read. */
  #readUnits = 0;
  #units = 0;
  #iterations = 0;
  #rowIterations = 0;
  #converged = 0;
  #capped = 0;

  constructor(options: DecisionControllerOptions) {
    const { grant, plan } = options;
    this.#options = options;
    this.#pace = new Pace(options.timer, grant, options.calibration, options);
    this.maxIterations = Math.min(grant.iterations, grant.totalIterations - plan.iterationsFrom(0) + plan.depth);
  }

  get spentUnits(): number {
    return this.#units;
  }

  /** Whether the caller's time is over, safety margin included. */
  get isOverdue(): boolean {
    return this.#pace.isOverdue;
  }

  begin(pass: PassShape, index: number): CallPlan {
    const { grant, plan, cost } = this.#options;
    this.#index = index;
    this.#wasCut = false;
    // what is left beyond the minimum is shared among the passes to come as their minimum is
    const [least, later] = [plan.reserveFrom(index) - plan.reserveFrom(index + 1), plan.reserveFrom(index + 1)];
    const free = Math.max(0, grant.units * (1 - ROUNDING) - this.#units - least - later);
    this.#passLimit = this.#units + least + (later === 0 ? free : (free * least) / (least + later));
    const share = Math.floor((grant.totalIterations - this.#iterations - plan.iterationsFrom(index)) / Math.max(1, plan.deepFrom(index)));
    const { most = Infinity } = pass;
    this.#passIterations = Math.min(most, this.maxIterations, plan.depth + share);
    this.#readUnits = cost.read(pass.lastRead);
    this.#spend(cost.prelude(pass.rows));
    return { iterations: this.#passIterations, exit: grant.exit };
  }

  ran(load: Load, wasChecked: boolean): void {
    const { cost, grant } = this.#options;
    this.#iterations++;
    this.#rowIterations += load.rows;
    this.#spend(wasChecked ? cost.iteration(load, grant.exit.criterion) : cost.unlooked(load));
  }

  read(load: ReadLoad): void {
    this.#spend(this.#options.cost.read(load));
  }

  proceed(iteration: number, next: PassShape, exit: ExitRule): ExitRule | undefined {
    const { grant, plan, cost, reservation, isCpuLimitNear } = this.#options;
    if (isCpuLimitNear?.() === true) return this.#cutHere("ceiling");
    if (iteration < plan.depth) return exit;
    const last = cost.read(next.lastRead);
    this.#readUnits = last;
    const step = cost.iteration(next.rows, grant.exit.criterion) + cost.read(next.eachRead);
    const later = plan.reserveFrom(this.#index + 1);
    if (this.#units + step + last > this.#passLimit) return this.#cutHere(grant.unitsLimit ?? "cost");
    if (this.#pace.misses(step + last + later)) return this.#cutHere("latency");
    if (reservation?.allows(step * grant.msPerUnit) === false) return this.#cutHere("ceiling");
    return exit;
  }

  end(exited: number, others: number): void {
    this.#converged += exited;
    this.#capped += others;
    if (others === 0 || this.#wasCut) return;
    this.#limits.cap(this.#passIterations < this.#options.grant.iterations ? "total" : "iterations");
  }

  /** Closes the books. */
  report(): Spending {
    const { grant, reservation } = this.#options;
    reservation?.release();
    return {
      units: this.#units,
      promptUnits: this.#units,
      iterations: this.#iterations,
      rowIterations: this.#rowIterations,
      converged: this.#converged,
      capped: this.#capped,
      limitedBy: this.#limits.limitedBy(grant, "stop", 0),
    };
  }

  /** Gives the place back where the decision ended without a report. */
  abandon(): void {
    this.#options.reservation?.release();
  }

  #cutHere(cause: LimitCause): undefined {
    if (this.#options.grant.onExhausted === "error") throw exhausted(cause);
    this.#wasCut = true;
    this.#limits.cut ??= cause;
    return undefined;
  }

  #spend(units: number): void {
    const { grant, plan, reservation, onWork } = this.#options;
    const { needFrom = plan.reserveFrom } = this.#options;
    this.#units += units;
    onWork?.(units * grant.msPerUnit);
    const least = this.#readUnits + plan.reserveFrom(this.#index + 1);
    const later = Math.max(0, needFrom(this.#index + 1) - plan.reserveFrom(this.#index + 1));
    reservation?.spend(units * grant.msPerUnit, least * grant.msPerUnit, later * grant.msPerUnit);
  }
}

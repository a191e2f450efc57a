/**
 * What the requests of one isolate share: the work done so far, the reservations of those in flight, calibration and
 * prices.
 * One for each loaded model. It opens a controller for a request, or refuses it; the token loop does the rest.
 */
import { Admission, type Reservation, type ReservationRequest } from "./admission.ts";
import type { Calibration } from "./calibration.ts";
import { Timer, WorkMeter, type Clock } from "./clock.ts";
import { BudgetController } from "./controller.ts";
import type { DecisionShape } from "../decision-policy.ts";
import { costModel, type CostModel, type ModelShape } from "./cost.ts";
import { DecisionController } from "./decision-controller.ts";
import { decisionCost, type DecisionCost } from "./decision-cost.ts";
import { decisionNeed, planDecision, type DecisionPlan } from "./decision-plan.ts";
import { grantBudget, SAFETY_MARGIN, paceOf, type Grant, type GrantDefaults } from "./grant.ts";
import type { BudgetSources } from "./budget.ts";
import type { CpuLimit } from "./cpu-limit.ts";
import { carefulDepth, exitChoiceOf, type MeasuredExit } from "./exit-choice.ts";
import { HostPace } from "./host-pace.ts";
import { completionNeed, firstIterations, NeedEstimate, unitsAfter } from "./need.ts";
import { rowCost, type RowCost } from "./row-cost.ts";
import { callUnits, coversAll, planRequest, type RequestShape } from "./plan.ts";
import type { PriceCard } from "./price.ts";

/** The machine whose time requests share: its model, its clock and its calibration. */
export interface SharedBudgetOptions {
  readonly shape: ModelShape;
  readonly calibration: Calibration;
  readonly clock: Clock;
  /** The platform's CPU signal. [default none: the host has no such signal] */
  readonly cpuLimit?: CpuLimit;
  /** Exit rules measured for this model, those that its cache and backend allow. [default none] */
  readonly measuredExits?: readonly MeasuredExit[];
  /** Iterations of a token that are enough where no exit rule ends them, by the model card. [default 32] */
  readonly sufficientIterations?: number;
  /** Most rows of one shared core call, the scheduler's width. [default 64] */
  readonly width?: number;
  /** Milliseconds of others' reading. [default nothing] */
  readonly inflow?: {
    readonly comingMs: number;
    readonly eachMs: { readonly head: number; readonly text: number };
    readonly readMs: number;
  };
}

/** Iterations that are enough where neither card nor options say how many. */
const MANY = 32;

/**
 * What the requests of one isolate spend from: it grants budgets, lets requests in, and makes the policies that keep them.
 * @example
 * ```ts
 * const shared = new SharedBudget({
 *   shape: model.config,
 *   calibration: calibrationFor(model.backend.name, model.card.calibration),
 *   clock: realClock(() => performance.now()),
 * });
 * const timer = shared.arrive();
 * const grant = shared.grant({ body: { latencyMs: 150 } }, defaults, WORKERS);
 * const policy = shared.open(grant, prompt.length, timer);
 * const tokens: number[] = [];
 * for await (const { token } of generate(model.backend, { ...options, policy })) tokens.push(token);
 * const { units, limitedBy } = policy.report("stop", tokens.length);
 * ```
 */
export class SharedBudget {
  readonly cost: CostModel;
  /** What decisions cost. */
  readonly decisionCost: DecisionCost;
  readonly calibration: Calibration;
  readonly admission: Admission;
  readonly meter: WorkMeter;
  /** How much longer than predicted work takes on this host, learned from all requests. */
  readonly pace: HostPace;
  /** What rows of shared calls take. */
  readonly rowCost: RowCost;
  /** What completions turn out to need. */
  readonly #need: NeedEstimate;
  readonly #options: SharedBudgetOptions;

  constructor(options: SharedBudgetOptions) {
    const { shape, calibration, clock, inflow, width = 64 } = options;
    this.#options = options;
    this.meter = new WorkMeter(clock);
    this.cost = costModel(shape, calibration.weights);
    this.decisionCost = decisionCost(shape, calibration.weights, width);
    this.calibration = calibration;
    this.pace = new HostPace(clock, this.meter, inflow && (() => inflow.readMs));
    const msPerUnit = paceOf(calibration, clock.moves);
    this.admission = new Admission({
      blockMs: this.cost.iteration(width, width).units * msPerUnit,
      slowdown: () => this.pace.expectedSlowdown,
      ...(inflow && { comingMs: () => inflow.comingMs }),
    });
    this.rowCost = rowCost(shape, calibration.weights, msPerUnit);
    const { measuredExits = [], sufficientIterations = MANY } = options;
    this.#need = new NeedEstimate(sufficientIterations, firstIterations(measuredExits, sufficientIterations));
  }

  /** Starts a request's time. @param arrivedMs the clock's reading when the request came [default now] */
  arrive(arrivedMs?: number): Timer {
    this.countText(this.#options.inflow?.eachMs.head ?? 0); // the others have waited while it was read
    return new Timer(this.#options.clock, this.meter, arrivedMs);
  }

  /** A request reckons with so much work that was done for it: work counts as a scheduler makes it, where one does. */
  #count(ms: number): void {
    if (!this.pace.hearsOfCalls) this.meter.add(ms);
  }

  /** Text has been worked on for so many predicted milliseconds: time that passes for all, where no clock shows it. */
  countText(ms: number): void {
    if (this.#options.clock.moves !== true) this.meter.add(ms);
  }

  /** @param textMs what the request's text takes, in predicted milliseconds: of its time and money, as its units are */
  grant(sources: BudgetSources, defaults: GrantDefaults, price: PriceCard, textMs = 0): Grant {
    const { calibration } = this;
    return grantBudget(sources, { defaults, calibration, price, textMs, clockMoves: this.#options.clock.moves ?? false });
  }

  /** Whether a request cannot run out of what it is granted, so that what it answers does not depend on what it costs. */
  coversAll(grant: Grant, promptRows: number, shape: RequestShape = {}): boolean {
    const choice = exitChoiceOf(this.#options.measuredExits ?? [], grant.exit);
    return coversAll(grant, promptRows, this.cost, shape, choice && carefulDepth(choice));
  }

  /** What a unit takes at worst: by the calibration, and at the pace of now. */
  get #carefulMsPerUnit(): number {
    const { msPerUnit } = this.calibration;
    return Math.max(msPerUnit.p95, this.pace.slowdown * paceOf(this.calibration, this.#options.clock.moves));
  }

  /**
   * Lets a request in. Its controller is the token loop's policy, and gives the reservation back by `report` or `abandon`.
   * @param shape of several completions, or with rows taken over [default one, and none]
   * @throws {InfeasibleError} before any work
   */
  open(grant: Grant, promptRows: number, timer: Timer, shape: RequestShape = {}): BudgetController {
    const { cpuLimit } = this.#options;
    const measuredExits = this.#options.measuredExits?.filter(({ accuracy }) => accuracy >= (grant.budget.minQuality ?? 0));
    const { cost, calibration } = this;
    const plan = planRequest(grant, promptRows, { cost, calibration, carefulMsPerUnit: this.#carefulMsPerUnit }, shape);
    const need = completionNeed({ grant, plan, cost, estimate: this.#need, promptRows, ...shape });
    const laterUnits = unitsAfter(need, 0);
    const reservation = this.admission.admit({
      ...timeOf(grant, timer),
      leftMs: () => Math.min(grant.latencyMs, grant.latencyMs / (1 - SAFETY_MARGIN) - this.pace.endingMs) - timer.elapsedMs,
      leastMs: callUnits(cost, promptRows - (shape.cachedRows ?? 0), promptRows, plan.depth, grant.exit.criterion) * grant.msPerUnit,
      needMs: (need.promptUnits + laterUnits) * grant.msPerUnit,
      laterMs: laterUnits * grant.msPerUnit,
    });
    return new BudgetController({
      grant,
      plan,
      promptRows,
      cost,
      calibration,
      timer,
      reservation,
      need,
      slowdown: () => this.pace.slowdown,
      endingMs: () => this.pace.endingMs,
      onWork: (ms) => this.#count(ms),
      onEnded: (ms) => this.pace.ended(ms),
      // what is taken over has run by the card's rule, and rows behind it do; what they need says nothing of whole prompts
      ...(shape.cachedRows === undefined && {
        onWhole: (iterations: number, calls: number) => this.#need.learn(iterations, calls / (shape.choices ?? 1)),
        ...(measuredExits && { measuredExits }),
      }),
      ...(cpuLimit && { isCpuLimitNear: cpuLimit.watch() }),
    });
  }

  /**
   * A place for a request whose text has not been read, so that whoever comes meanwhile leaves what it is likely to need. One
   * that the others do not leave that is refused without work on its text.
   * @param likelyRows of its prompt, rather too few @returns the place, to be given back before `open`
   * @throws {InfeasibleError}
   */
  expect(grant: Grant, timer: Timer, likelyRows = 1): Reservation {
    const { criterion } = grant.exit;
    const msOf = (rows: number, iterations: number): number => callUnits(this.cost, rows, rows, iterations, criterion) * grant.msPerUnit;
    const likelyMs = msOf(likelyRows, Math.min(grant.iterations, this.#need.iterations));
    const request = {
      ...timeOf(grant, timer),
      leastMs: msOf(1, grant.minIterations),
      needMs: Math.min(grant.units * grant.msPerUnit, likelyMs) + (this.#options.inflow?.eachMs.text ?? 0),
    };
    // by itself it is refused by what its text needs, which its refusal can name
    return this.admission.admit(request, this.admission.taken > 0);
  }

  /** What `coversAll` is to a completion, of a decision. */
  coversDecision(grant: Grant, shape: DecisionShape): boolean {
    try {
      return this.#planDecision({ ...grant, onExhausted: "error" }, shape).depth > 0;
    } catch {
      return false;
    }
  }

  #planDecision(grant: Grant, shape: DecisionShape): DecisionPlan {
    const { decisionCost: cost, calibration } = this;
    return planDecision(grant, shape, { cost, calibration, carefulMsPerUnit: this.#carefulMsPerUnit });
  }

  /**
   * Lets a decision in. Its controller is the decision's policy, and gives the reservation back by `report` or `abandon`.
   * @throws {InfeasibleError} before any work
   */
  openDecision(grant: Grant, shape: DecisionShape, timer: Timer): DecisionController {
    const { cpuLimit } = this.#options;
    const { decisionCost: cost, calibration } = this;
    const plan = this.#planDecision(grant, shape);
    const needFrom = decisionNeed(grant, shape, plan, cost, this.#need);
    const reservation = this.admission.admit({
      ...timeOf(grant, timer),
      leastMs: plan.reserveFrom(0) * grant.msPerUnit,
      needMs: Math.min(grant.units, needFrom(0)) * grant.msPerUnit,
    });
    return new DecisionController({
      grant,
      plan,
      cost,
      calibration,
      timer,
      reservation,
      needFrom,
      slowdown: () => this.pace.slowdown,
      endingMs: () => this.pace.endingMs,
      onWork: (ms) => this.#count(ms),
      ...(cpuLimit && { isCpuLimitNear: cpuLimit.watch() }),
    });
  }
}

/** A request's time, as admission asks for it. */
function timeOf(grant: Grant, timer: Timer): Pick<ReservationRequest, "leftMs" | "budgetFor"> {
  return {
    leftMs: () => grant.latencyMs - timer.elapsedMs,
    budgetFor: (leftMs) => (timer.elapsedMs + leftMs) / (1 - SAFETY_MARGIN),
  };
}

/**
 * What the requests of one isolate share: the work done so far, the seats of those in flight, calibration and prices.
 * One for each loaded model. It opens a controller for a request, or refuses it; the token loop does the rest.
 */
import { Admission } from "./admission.ts";
import type { Calibration } from "./calibration.ts";
import { Timer, WorkMeter, type Clock } from "./clock.ts";
import { BudgetController } from "./controller.ts";
import { costModel, type CostModel, type ModelShape } from "./cost.ts";
import { grantBudget, LANDING_MARGIN, paceOf, type Grant, type GrantDefaults } from "./grant.ts";
import type { BudgetSources } from "./budget.ts";
import type { HardStop } from "./hard-stop.ts";
import type { Rung } from "./ladder.ts";
import type { PriceCard } from "./price.ts";

export interface TreasuryOptions {
  readonly shape: ModelShape;
  readonly calibration: Calibration;
  readonly clock: Clock;
  /** [default none: the host has no such signal] */
  readonly hardStop?: HardStop;
  /** Exit rules measured for this model, those that its cache and backend allow. [default none] */
  readonly rungs?: readonly Rung[];
  /** Most rows of one shared core call, the scheduler's width. [default 64] */
  readonly width?: number;
}

export class Treasury {
  readonly cost: CostModel;
  readonly calibration: Calibration;
  readonly admission: Admission;
  readonly meter = new WorkMeter();
  readonly #options: TreasuryOptions;

  constructor(options: TreasuryOptions) {
    const { shape, calibration, clock, width = 64 } = options;
    this.#options = options;
    this.cost = costModel(shape, calibration.weights);
    this.calibration = calibration;
    this.admission = new Admission(this.cost.iteration(width, width).units * paceOf(calibration, clock.moves));
  }

  /** Starts a request's time. @param arrivedMs the clock's reading when the request came [default now] */
  arrive(arrivedMs?: number): Timer {
    return new Timer(this.#options.clock, this.meter, arrivedMs);
  }

  grant(sources: BudgetSources, defaults: GrantDefaults, price: PriceCard): Grant {
    return grantBudget(sources, { defaults, calibration: this.calibration, price, clockMoves: this.#options.clock.moves ?? false });
  }

  /**
   * Lets a request in. Its controller is the token loop's policy, and gives the seat back by `report` or `abandon`.
   * @throws {InfeasibleError} before any work
   */
  open(grant: Grant, promptRows: number, timer: Timer): BudgetController {
    const { rungs, hardStop } = this.#options;
    const controller = new BudgetController({
      grant,
      promptRows,
      cost: this.cost,
      calibration: this.calibration,
      timer,
      onWork: (ms) => this.meter.add(ms),
      ...(rungs && { rungs }),
      ...(hardStop && { stopped: hardStop.watch() }),
    });
    const { ms, calls } = controller.minimum;
    controller.takeSeat(
      this.admission.admit({
        leftMs: () => grant.latencyMs - timer.elapsedMs,
        minimumMs: ms,
        calls,
        budgetFor: (leftMs) => (timer.elapsedMs + leftMs) / (1 - LANDING_MARGIN),
      }),
    );
    return controller;
  }
}

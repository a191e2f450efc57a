/** Budgets: what may be spent on a request, and a controller that keeps to it. */
export { mergeBudgets, mergeSources, isWithin, ON_EXHAUSTED, type Budget, type BudgetSources, type OnExhausted } from "./budget.ts";
export { assumedCalibration, calibrationFor, summariseWork, type Calibration, type WorkSample } from "./calibration.ts";
export { frozenClock, ioClock, realClock, Timer, WorkMeter, type Clock } from "./clock.ts";
export { BudgetController, type Spending } from "./controller.ts";
export { costModel, MACS_PER_UNIT, PLAIN_WEIGHTS, type CostModel, type CostWeights } from "./cost.ts";
export { grantBudget, InfeasibleError, LANDING_MARGIN, type Grant, type GrantDefaults, type Limit, type Minimum } from "./grant.ts";
export { HardStop, type SignalWord } from "./hard-stop.ts";
export { parseBudgetHeader, readBudgetHeaders } from "./headers.ts";
export type { Rung } from "./ladder.ts";
export { DURABLE_OBJECTS, ownMachine, WORKERS, type PriceCard } from "./price.ts";
export { costOf, dataPoint, DATA_POINT, serverTiming, type CostReport } from "./report.ts";
export { Treasury, type TreasuryOptions } from "./treasury.ts";

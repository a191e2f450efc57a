/** Budgets: what may be spent on a request, and a controller that keeps to it. */
export { mergeBudgets, mergeSources, isWithin, ON_EXHAUSTED, type Budget, type BudgetSources, type OnExhausted } from "./budget.ts";
export { assumedCalibration, calibrationFor, summariseWork, type Calibration, type WorkSample } from "./calibration.ts";
export { frozenClock, ioClock, realClock, Timer, WorkMeter, type Clock } from "./clock.ts";
export { BudgetController, type Spending } from "./controller.ts";
export { DecisionController } from "./decision-controller.ts";
export { costModel, MACS_PER_UNIT, PLAIN_WEIGHTS, type CostModel, type CostWeights } from "./cost.ts";
export { grantBudget, InfeasibleError, SAFETY_MARGIN, type Grant, type GrantDefaults, type LimitedBy, type Minimum } from "./grant.ts";
export { CpuLimit } from "./cpu-limit.ts";
export type { MeasuredExit } from "./exit-choice.ts";
export { DURABLE_OBJECTS, ownMachine, WORKERS, type PriceCard } from "./price.ts";
export type { QualityRow } from "./quality.ts";
export { costOf, type CostReport } from "./report.ts";
export { SharedBudget, type SharedBudgetOptions } from "./shared-budget.ts";

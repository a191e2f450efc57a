/**
 * What a request has spent: work units by the cost model, counted from what really ran. Spending is charged before it
 * happens where it cannot be stopped any more (prelude), after it where rows decide (iterations). Others hear of it when
 * it has happened: what has only been planned has taken no time of theirs.
 */
import type { ExitCriterion } from "../exit-rule.ts";
import type { CostModel } from "./cost.ts";

/** A call of the model that is under way. */
export interface OpenCall {
  readonly rows: number;
  /** Positions in the cache with this call's rows. */
  readonly context: number;
  readonly criterion: ExitCriterion;
  /** Iterations so far. */
  iterations: number;
  /** The last iteration was read out already. */
  isRead: boolean;
}

export class Ledger {
  readonly #cost: CostModel;
  readonly #onSpend: (units: number) => void;
  #call: OpenCall | undefined;
  #units = 0;
  /** Units charged for work that has not been done yet. */
  #planned = 0;
  /** Iterations of the calls, each counted by its deepest row. */
  iterations = 0;
  /** Iterations of all rows together. */
  rowIterations = 0;

  /** @param onSpend told of work once it is done, and with 0 of a call that is opened */
  constructor(cost: CostModel, onSpend: (units: number) => void) {
    this.#cost = cost;
    this.#onSpend = onSpend;
  }

  /** Units spent; the readout of an open call not yet. */
  get units(): number {
    return this.#units;
  }

  get call(): OpenCall | undefined {
    return this.#call;
  }

  /** Opens a call, after closing the last one. */
  open(rows: number, context: number, criterion: ExitCriterion): OpenCall {
    this.close();
    this.#call = { rows, context, criterion, iterations: 0, isRead: false };
    this.#planned = this.#cost.prelude(rows, context).units;
    this.#units += this.#planned;
    this.#onSpend(0);
    return this.#call;
  }

  /** Charges an iteration of `rows` of the open call's rows, if any ran, and the exit rule's look at them where it looked. */
  iterate(rows: number, wasChecked: boolean, wasRead: boolean): void {
    const call = this.#call!;
    if (rows === 0) return this.#charge(wasChecked ? this.#checkUnits(0) : 0);
    call.iterations++;
    call.isRead = wasRead;
    this.iterations++;
    this.rowIterations += rows;
    this.#charge(this.#cost.iteration(rows, call.context).units + (wasChecked ? this.#checkUnits(rows) : 0));
  }

  /** What an iteration of so many of the open call's rows costs at most. */
  stepUnits(rows: number): number {
    return this.#cost.iteration(rows, this.#call!.context).units + this.#checkUnits(rows);
  }

  #checkUnits(ran: number): number {
    const { context, criterion, rows } = this.#call!;
    return this.#cost.check(criterion, ran, rows, context).units;
  }

  /** What the open call still needs to give its token. */
  get readoutUnits(): number {
    return this.#call === undefined ? 0 : this.#cost.readout(this.#call.rows, this.#call.context).units;
  }

  /** Charges the open call's readout, unless its last check has paid for it. */
  close(): void {
    if (this.#call === undefined) return;
    const units = this.#call.isRead ? 0 : this.readoutUnits;
    this.#call = undefined;
    this.#charge(units);
  }

  /** Forgets an open call that never ran. */
  cancel(): void {
    if (this.#call === undefined) return;
    this.#units -= this.#cost.prelude(this.#call.rows, this.#call.context).units;
    this.#call = undefined;
    this.#planned = 0;
  }

  #charge(units: number): void {
    this.#units += units;
    this.#onSpend(units + this.#planned);
    this.#planned = 0;
  }
}

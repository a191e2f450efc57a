/**
 * Rows that stand together in a pass: an input's, a question's behind it, a leaf's behind that. After an iteration each
 * stretch says which of its rows run the next, by what stands before them and themselves alone. Under `prefix` and
 * `rest-wake` rows stop and wake one by one, as those of a plain prompt of the same tokens do (decode/rest.ts); under the
 * other rules a stretch has ended once nothing up to its end moves any more, and runs as long as anything behind it does.
 */
import { shouldExit } from "../decode/exit.ts";
import { prefixTracker, restTracker, type RestTracker } from "../decode/rest.ts";
import { stopsRowByRow, type ExitRule } from "../exit-rule.ts";
import { requireNumber } from "../finite.ts";
import type { Backend, Row } from "../port/backend.ts";
import type { Replay } from "../port/prefix.ts";
import { stillness } from "./stillness.ts";
import { inCalls } from "./sequences.ts";

export class Stretch {
  readonly rows: readonly Row[];
  readonly before: Stretch | undefined;
  /** Rows that run next. */
  active: readonly Row[];
  /** Nothing up to its end moves any more. */
  hasEnded = false;
  /** The coda has read the rows as they ended. */
  isRead = false;
  readonly #replay: Replay | undefined;
  /** How far each row moved in the last iteration that was looked at. */
  readonly #own: Float32Array;
  /** The most of any position up to its end. */
  largest = 0;
  #tracker: RestTracker | undefined;

  /** @param replay of what an input takes over of an earlier one */
  constructor(rows: readonly Row[], before?: Stretch, replay?: Replay) {
    this.rows = this.active = rows;
    this.before = before;
    this.#replay = replay;
    this.#own = new Float32Array(rows.length);
  }

  /** The row before what stands behind it. */
  get last(): Row {
    return this.rows.at(-1) ?? this.before!.last;
  }

  /**
   * Finds who runs next, after an iteration that the exit rule looks at.
   * @param movements of the rows that ran @param time iterations of the pass so far
   */
  async look(movements: ReadonlyMap<Row, number>, exit: ExitRule, time: number, backend: Backend): Promise<void> {
    const { rows } = this;
    rows.forEach((row, i) => (this.#own[i] = movements.get(row) ?? 0));
    if (!stopsRowByRow(exit)) {
      this.largest = Math.max(this.before?.largest ?? 0, ...(this.#replay?.movedAt(time) ?? []), ...this.#own);
      this.hasEnded = shouldExit(exit, this.largest);
      return;
    }
    const isBehind = this.before === undefined ? time >= (this.#replay?.restsFrom ?? 0) : this.before.hasEnded;
    const wakes = exit.criterion === "rest-wake";
    if (wakes || isBehind) {
      this.#tracker ??= wakes ? restTracker(rows.length) : prefixTracker(rows.length);
      const news = wakes && rows.length > 0 ? await backend.pressure!(rows, this.movedAt(time)) : [];
      const ran = this.active.map(({ position }) => position - rows[0]!.position);
      this.active = this.#tracker.next(ran, this.#own, news, exit).map((i) => rows[i]!);
    }
    this.hasEnded = isBehind && this.active.length === 0;
  }

  /** How far each position up to its end moved in iteration `time`, as far as the rule looked. */
  movedAt(time: number): Float32Array {
    const moved = new Float32Array(this.last.position + 1);
    moved.set(this.before?.movedAt(time) ?? this.#replay?.movedAt(time) ?? []);
    moved.set(this.#own, moved.length - this.rows.length);
    return moved;
  }
}

/** Looks at stretches, in causal order, after an iteration of their active rows. @throws {FathomError} not_finite */
export async function look(
  rows: readonly Row[],
  stretches: readonly Stretch[],
  exit: ExitRule,
  time: number,
  backend: Backend,
): Promise<void> {
  const movements = new Map<Row, number>();
  await inCalls(backend, rows, async (part) => {
    (await backend.measure(part)).forEach((change, i) => movements.set(part[i]!, requireNumber(stillness(exit, change))));
  });
  for (const stretch of stretches) await stretch.look(movements, exit, time, backend);
}

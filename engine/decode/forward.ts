/**
 * One forward pass of adaptive depth: rows of one sequence iterate together until their exit rule is content, their
 * limit is reached or the policy ends it, and the last row is read out (paper section 6.1). Rules that stop rows one
 * by one (rest.ts) choose who runs each iteration. Knows nothing of tokens before or after this call.
 */
import type { Backend, Row } from "../port/backend.ts";
import { FathomError } from "../errors.ts";
import { cacheObjection, runsOn, stopsRowByRow, type ExitRule } from "../exit-rule.ts";
import { argmax, createEvaluator, exitInput, isChecked, observe, shouldExit, type ExitInput } from "./exit.ts";
import type { IterationReport } from "../depth-policy.ts";
import { requireFinite, requireNumber } from "../finite.ts";
import type { Replay, TimelineRecorder } from "../port/prefix.ts";
import { movement, prefixTracker, restTracker } from "./rest.ts";

/** What a forward pass took. */
export interface ForwardCost {
  /** Core iterations that the deepest row ran. */
  readonly iterations: number;
  /** Core iterations of all rows, summed. */
  readonly rowIterations: number;
  /** Times that coda and head were run. */
  readonly readouts: number;
  /** The rule said stop before the limit was reached, or at it. */
  readonly exited: boolean;
  /** The criterion's value at every checked iteration. */
  readonly exitValues: readonly number[];
}

export interface ForwardOptions {
  /** Most iterations of this call. 0 is legal: the initial state is read out. */
  readonly iterations: number;
  readonly exit: ExitRule;
  readonly isPrefill: boolean;
  /**
   * What to read out when the limit comes between two checks of a rule that reads logits: the final state, or, as the
   * reference does, the last checked one. [default "final"]
   */
  readonly lastReadout?: "final" | "checked";
  /** A prefix that stands before the rows and passes through its moments again with them. [default none] */
  readonly replay?: Replay | undefined;
  /** Notes what the rows go through. [default nobody does] */
  readonly recorder?: TimelineRecorder | undefined;
  /** Gives the rule to go on by after every iteration; undefined ends the call. [default the rule so far] */
  readonly proceed?: (report: IterationReport, exit: ExitRule) => ExitRule | undefined;
}

/**
 * Iterates `rows` (positions ascending) and reads out the last of them: logits, [vocabSize] f32.
 * @throws {FathomError} not_finite
 */
export async function forward(
  backend: Backend,
  rows: readonly Row[],
  options: ForwardOptions,
): Promise<ForwardCost & { readonly logits: Float32Array }> {
  const { logits, ...cost } = await iterateToExit(backend, rows, options);
  const [read] = logits === undefined ? await backend.readout(rows, rows.slice(-1)) : [logits];
  requireFinite(read!);
  return { ...cost, readouts: cost.readouts + (logits === undefined ? 1 : 0), logits: read! };
}

/**
 * `forward` for greedy decoding: the token of the largest logit, without the logits where the backend can tell.
 * @throws {FathomError} not_finite
 */
export async function forwardGreedy(
  backend: Backend,
  rows: readonly Row[],
  options: ForwardOptions,
): Promise<ForwardCost & { readonly token: number }> {
  const { logits, ...cost } = await iterateToExit(backend, rows, options);
  if (logits !== undefined) return { ...cost, token: argmax(logits) };
  const last = rows.slice(-1);
  const [token] = (await backend.argmax?.(rows, last)) ?? (await backend.readout(rows, last)).map(argmax);
  return { ...cost, readouts: cost.readouts + 1, token: token! };
}

/** Everything but the last readout; `logits` where a check has read what is to be read out. */
async function iterateToExit(
  backend: Backend,
  rows: readonly Row[],
  options: ForwardOptions,
): Promise<ForwardCost & { readonly logits: Float32Array | undefined }> {
  const { isPrefill, replay, recorder } = options;
  let { exit } = options;
  const last = rows.slice(-1);
  const gate = await createGate(backend, rows, exit, replay);
  const exitValues: number[] = [];
  const keepsOn = runsOn(exit, rows[0]!.sequence.options.cache);
  /** Logits of the exit, where rows run on behind it. */
  let exitLogits: Float32Array | undefined;
  let logits: Float32Array | undefined;
  // `time` goes on where a prefix before the rows still moves and none of them runs
  let [time, iterations, rowIterations, readouts, logitsAt] = [0, 0, 0, 0, 0];
  let active = rows;
  while (time < options.iterations && (active.length > 0 || time < (replay?.lastRun ?? 0))) {
    const running = active;
    time++;
    replay?.show(time);
    if (running.length > 0) {
      await backend.iterate(running);
      iterations++;
      rowIterations += running.length;
    }
    const checked = exitLogits === undefined && isChecked(exit, time - 1, isPrefill);
    if (checked && gate.input === "logits") {
      [logits] = await backend.readout(rows, last);
      logitsAt = time;
      readouts++;
    }
    const seen = checked || (gate.input === "gate" && exitLogits === undefined) ? await gate.look(running, exit, logits, time) : undefined;
    if (checked && seen !== undefined) {
      exitValues.push(seen.value);
      active = seen.next;
    }
    if (keepsOn && active.length === 0) {
      [exitLogits] = await backend.readout(rows, last);
      readouts++;
      active = running;
    }
    recorder?.note(running, seen?.moved);
    const isIdle = running.length === 0 && seen === undefined;
    if (isIdle || options.proceed === undefined) continue;
    const counts = { iteration: time, rows: running.length, next: active.length };
    const next = options.proceed({ ...counts, exitValue: checked ? exitValues.at(-1) : undefined, readout: logitsAt === time }, exit);
    if (next === undefined) break;
    exit = next;
  }
  replay?.end();
  recorder?.end(active);
  const isFresh = logitsAt === time || options.lastReadout === "checked";
  const exited = (active.length === 0 && time >= (replay?.restsFrom ?? 0)) || exitLogits !== undefined;
  const read = exitLogits ?? (isFresh ? logits : undefined);
  return { iterations, rowIterations, readouts, exited, exitValues, logits: read };
}

/** An exit rule at work on one call. */
interface Gate {
  readonly input: ExitInput;
  /**
   * Gives the criterion's value after a checked iteration of `ran`, the rows that run next, and how far each position
   * moved, where the rule asks row by row.
   * @param time the iteration of the call
   */
  look(
    ran: readonly Row[],
    exit: ExitRule,
    logits: Float32Array | undefined,
    time: number,
  ): Promise<{ value: number; next: readonly Row[]; moved?: Float32Array }>;
}

async function createGate(backend: Backend, rows: readonly Row[], exit: ExitRule, replay?: Replay): Promise<Gate> {
  if (rows.length + (replay?.length ?? 0) > 1 && stopsRowByRow(exit)) return rowGate(backend, rows, exit, replay);
  const input = exitInput(exit.criterion);
  const evaluator = createEvaluator(exit.criterion, backend.config.vocabSize);
  return {
    input,
    async look(ran, rule, logits) {
      const value = evaluator.next(input === "logits" || input === "nothing" ? { logits: logits! } : await observe(backend, ran, input));
      return { value, next: shouldExit(rule, value) ? [] : ran };
    },
  };
}

/** The value of a row rule is the largest movement among the rows that ran. */
function rowGate(backend: Backend, rows: readonly Row[], exit: ExitRule, replay?: Replay): Gate {
  const wakes = exit.criterion === "rest-wake";
  checkRowByRow(backend, rows[0]!, exit);
  const tracker = wakes ? restTracker(rows.length) : prefixTracker(rows.length);
  const first = rows[0]!.position;
  /** Movement of this iteration by position, that of a prefix's positions, too; all others before the call's are settled. */
  const moved = new Float32Array(first + rows.length);
  return {
    input: "change",
    async look(ran, rule, _logits, time) {
      const changes = await backend.measure(ran);
      moved.fill(0);
      let largest = -Infinity;
      const before = replay?.movedAt(time);
      if (before !== undefined) moved.set(before);
      before?.forEach((value) => (largest = Math.max(largest, value)));
      ran.forEach((row, i) => (largest = Math.max(largest, (moved[row.position] = movement(changes[i]!)))));
      requireNumber(largest);
      // by `prefix` no row stops before those that stand before it have
      if (!wakes && time < (replay?.restsFrom ?? 0)) return { value: largest, next: ran, moved };
      const next = tracker.next(
        ran.map((row) => row.position - first),
        moved.subarray(first),
        wakes ? await backend.pressure!(rows, moved) : [],
        rule,
      );
      return { value: largest, next: next.map((i) => rows[i]!), moved };
    },
  };
}

function checkRowByRow(backend: Backend, row: Row, exit: ExitRule): void {
  const refuse = (what: string, param: string): never => {
    throw new FathomError("invalid_request", `Exit rule ${exit.criterion} ${what}.`, param);
  };
  const objection = cacheObjection(exit, row.sequence.options.cache, backend.config.coreLayers);
  if (objection !== undefined) refuse(objection, "cache");
  if (exit.criterion === "rest-wake" && backend.pressure === undefined)
    refuse(`needs to know what rows attend to, which the ${backend.name} backend does not report; use prefix`, "exit");
}

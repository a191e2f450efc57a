/**
 * How long work takes here: times every kind of call at many shapes, fits what each counts for, and checks the fit on
 * whole requests. Of a shape's repetitions the fast ones count, as other programs on the machine are nobody's budget: the
 * lower quartile for calls, the fastest of three for requests. CPU time would say it better, but its ticks are too coarse.
 */
import { FathomError } from "../engine/errors.ts";
import { arch, cpus } from "node:os";
import type { Backend } from "../engine/port/backend.ts";
import { fitNonNegative, quantile, summariseWork, type Calibration, type WorkSample } from "../engine/budget/calibration.ts";
import { BudgetController } from "../engine/budget/controller.ts";
import { planRequest } from "../engine/budget/plan.ts";
import { costModel, MACS_PER_UNIT, PLAIN_WEIGHTS, type CostModel, type CostWeights } from "../engine/budget/cost.ts";
import { grantBudget } from "../engine/budget/grant.ts";
import { WORKERS } from "../engine/budget/price.ts";
import { generate } from "../engine/decode/generate.ts";
import { NEVER_EXIT, type ExitRule } from "../engine/exit-rule.ts";
import type { Model } from "../engine/port/model.ts";
import { uniform } from "../engine/random.ts";
import { Scheduler } from "../engine/schedule/scheduler.ts";

/** Prompt lengths in tokens; longer than most requests, as attention shows only there. */
const LENGTHS = [2, 4, 8, 16, 32, 64, 128, 256, 512, 960];
const ROUNDS = 12;
const REPETITIONS = 3;
/** Where a hundred microseconds are more than noise. */
const SHORT_MS = 5;
const SEED = 5;

interface CallSample {
  readonly kind: keyof CostModel;
  /** Rows that ran. */
  readonly ran: number;
  /** Rows of the call. */
  readonly rows: number;
  readonly context: number;
  ms: number;
}

/** Measures this host and build. @param requests whole requests that p50 and p95 are taken from [default 200] */
export async function calibrate(model: Model, requests = 200, onProgress: () => void = () => {}): Promise<Calibration> {
  const samples: CallSample[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const length of LENGTHS.filter((n) => n + 4 <= model.config.contextLength)) {
      const timed = round === 0 ? [] : samples; // the first round warms up
      await request(model, { length, iterations: 4, exit: model.card.exitRule }, costModel(model.config), (b) => timedBackend(b, timed));
    }
  }
  const weights = fitWeights(model, samples);
  const cost = costModel(model.config, weights);
  const whole: WorkSample[] = [];
  for (let n = 0; n < requests; n++) {
    whole.push(await wholeRequest(model, cost, n));
    onProgress();
  }
  const overheadMs = overheadOf(whole);
  const summary = summariseWork(
    whole.filter(({ ms }) => ms >= SHORT_MS),
    overheadMs,
  );
  if (summary === undefined) {
    const message = `Of ${requests} requests too few took long enough to calibrate from; give more, such as --requests 200.`;
    throw new FathomError("invalid_request", message, "--requests");
  }
  const { p50, p95 } = summary.msPerUnit;
  return {
    msPerUnit: { p50: significant(p50), p95: significant(p95) },
    overheadMs: significant(overheadMs),
    weights,
    samples: summary.samples,
    measuredAt: new Date().toISOString().slice(0, 10),
    backend: model.backend.name,
    host: `${cpus()[0]?.model ?? arch()}, Node ${process.versions.node}`,
  };
}

/** What nearly every short request stays within, beside its units: there constant costs show, and hide the rate. */
function overheadOf(whole: readonly WorkSample[]): number {
  const usual = quantile(
    whole.map(({ units, ms }) => ms / units),
    0.5,
  );
  const short = whole.filter(({ units }) => units * usual < SHORT_MS);
  return short.length === 0
    ? 0
    : Math.max(
        0,
        quantile(
          short.map(({ units, ms }) => ms - units * usual),
          0.95,
        ),
      );
}

/** Repetitions of one shape, by their lower quartile: what the call takes when nothing disturbs it. */
function fitWeights({ config, card }: Model, samples: readonly CallSample[]): CostWeights {
  const zero = Object.fromEntries(Object.keys(PLAIN_WEIGHTS).map((key) => [key, 0])) as unknown as CostWeights;
  const names = Object.keys(PLAIN_WEIGHTS) as (keyof CostWeights)[];
  const { criterion } = card.exitRule;
  const base = costModel(config, zero);
  const models = names.map((name) => costModel(config, { ...zero, [name]: 1 }));
  const units = (m: CostModel, { kind, ran, rows, context }: CallSample): number =>
    kind === "check" ? m.check(criterion, ran, rows, context).units : m[kind](ran, context).units;
  const rows = [...Map.groupBy(samples, (s) => `${s.kind} ${s.ran} ${s.rows} ${s.context}`).values()].map((same) => {
    const [first] = same as [CallSample];
    const core = units(base, first) * MACS_PER_UNIT;
    return {
      features: [core, ...models.map((m) => units(m, first) * MACS_PER_UNIT - core)],
      target: quantile(
        same.map((s) => s.ms),
        0.25,
      ),
    };
  });
  const [core = 0, ...others] = fitNonNegative(rows);
  if (!(core > 0)) throw new Error("The core's speed does not show in the samples; is something else using this machine?");
  return Object.fromEntries(names.map((name, i) => [name, significant(others[i]! / core)])) as unknown as CostWeights;
}

interface Shape {
  readonly length: number;
  readonly iterations: number;
  readonly exit: ExitRule;
}

/** A request of random tokens, served as the worker serves it; returns its units. */
async function request(model: Model, { length, iterations, exit }: Shape, cost: CostModel, wrap: (b: Backend) => Backend): Promise<number> {
  const { config, card, backend } = model;
  const prompt = Array.from({ length }, (_, i) => Math.floor(uniform(SEED, length, i) * config.vocabSize));
  const tokens = 3;
  const calibration = { ...NO_CALIBRATION, backend: backend.name };
  const grant = grantBudget({ body: { iterations, tokens, exit } }, { defaults: { ...card, tokens, exit }, calibration, price: WORKERS });
  const controller = new BudgetController({
    grant,
    plan: planRequest(grant, length, { cost, calibration }),
    promptRows: length,
    cost,
    calibration,
  });
  const lane = wrap(new Scheduler(backend).lane());
  const options = {
    prompt,
    maxTokens: tokens,
    iterations,
    exit,
    policy: controller,
    cache: card.cacheStrategy,
    stopTokens: new Set<number>(),
  };
  for await (const _ of generate(lane, options));
  return controller.report("length", tokens).units;
}

const NO_CALIBRATION: Calibration = {
  msPerUnit: { p50: 1, p95: 1 },
  overheadMs: 0,
  weights: PLAIN_WEIGHTS,
  samples: 0,
  measuredAt: "",
  backend: "",
};

/** Text in, tokens out: what a caller waits for. Lengths and depths like those of short questions, and some long ones. */
async function wholeRequest(model: Model, cost: CostModel, n: number): Promise<WorkSample> {
  const random = (i: number): number => uniform(SEED + 1, n, i);
  const most = Math.min(960, model.config.contextLength - 8);
  const length = Math.max(2, Math.round(16 * (most / 16) ** random(0)));
  const shape = {
    length,
    iterations: Math.max(1, Math.round(model.card.maxIterations * random(1))),
    exit: random(2) < 0.5 ? NEVER_EXIT : model.card.exitRule,
  };
  let [units, ms] = [0, Infinity];
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    const start = performance.now();
    model.text.encodeChat([{ role: "user", content: "Add 9. ".repeat(Math.ceil(length / 3)) }]);
    units = await request(model, shape, cost, (b) => b);
    ms = Math.min(ms, performance.now() - start);
  }
  return { units, ms };
}

/** Times every call, with what the token loop does before it; after a look at states, with what follows. */
function timedBackend(backend: Backend, samples: CallSample[]): Backend {
  let last: CallSample | undefined;
  let end = performance.now();
  let [rows, context] = [0, 0];
  const timed = async <T>(kind: keyof CostModel, ran: number, run: () => T | Promise<T>): Promise<T> => {
    let from = end;
    if (last?.kind === "check") {
      from = performance.now();
      last.ms += from - end; // the exit rule's own arithmetic
    }
    const result = await run();
    end = performance.now();
    last = { kind, ran, rows, context, ms: end - from };
    samples.push(last);
    return result;
  };
  return bound(backend, {
    prelude(inputs) {
      rows = inputs.length;
      context = inputs[0]!.sequence.length + rows;
      return timed("prelude", rows, () => backend.prelude(inputs));
    },
    iterate: (ran) => timed("iteration", ran.length, () => backend.iterate(ran)),
    readout: (ran, heads) => timed("readout", ran.length, () => backend.readout(ran, heads)),
    measure: (ran) => timed("check", ran.length, () => backend.measure(ran)),
  });
}

/** A backend with some methods replaced. */
function bound(backend: Backend, replaced: Partial<Backend>): Backend {
  return new Proxy(backend, {
    get(target, name) {
      const own = replaced[name as keyof Backend];
      if (own !== undefined) return own;
      const value: unknown = target[name as keyof Backend];
      return typeof value === "function" ? (value as (...a: unknown[]) => unknown).bind(target) : value;
    },
  });
}

function significant(value: number): number {
  return Number(value.toPrecision(4));
}

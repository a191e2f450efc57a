/**
 * card.json: what a model is called, how deep it thinks by default, and what was measured on it. Written by commands
 * (`fathom convert`, `fathom eval --card`), read by the worker and the CLI.
 */
import * as v from "valibot";
import { parseCacheStrategy, type CacheStrategy } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import { DEFAULT_THRESHOLDS, EXIT_CRITERIA, stopsRowByRow, type ExitRule } from "../exit-rule.ts";
import type { ModelConfig } from "./config.ts";
import { parseJson, type ModelFolder } from "./folder.ts";

/** OpenAI's reasoning_effort values, in ascending order. */
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;
export type Effort = (typeof EFFORTS)[number];

const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const iterationMap = v.record(v.pipe(v.string(), v.regex(/^\d+$/)), v.number());

/** Accuracy of one task at one difficulty. */
const qualityRow = v.object({
  task: v.string(),
  level: v.optional(v.number()),
  /** Problems asked. */
  n: count,
  /** The hardest level seen in training. */
  trainedTo: v.optional(v.number()),
  /** Iterations -> share answered exactly, 0..1, without early exit. */
  accuracy: iterationMap,
  /** The same with the card's exit rule. */
  withExit: v.optional(v.object({ accuracy: v.number(), meanIterations: v.number() })),
});

const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const notNegative = v.pipe(v.number(), v.finite(), v.minValue(0));

/** How long a work unit takes on a host and build (engine/budget/calibration.ts). */
const calibration = v.object({
  msPerUnit: v.object({ p50: positive, p95: positive }),
  overheadMs: notNegative,
  weights: v.object({
    prelude: notNegative,
    coda: notNegative,
    head: notNegative,
    attention: notNegative,
    check: notNegative,
    gather: notNegative,
    call: notNegative,
  }),
  samples: count,
  measuredAt: v.string(),
  backend: v.string(),
  build: v.optional(v.string()),
  host: v.optional(v.string()),
});

/** An exit rule and what it did on the model's tasks: what a budget chooses from. */
const measuredExit = v.object({
  exit: v.object({ criterion: v.picklist(EXIT_CRITERIA), threshold: notNegative, wake: v.optional(notNegative) }),
  /** Core iterations a row. */
  meanIterations: positive,
  /** Share answered exactly, 0..1. */
  accuracy: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  n: count,
});

const modelId = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/));

/** Whether a name can stand in the API, in file names and in URLs. */
export function isModelId(name: string): boolean {
  return v.is(modelId, name);
}

const cardSchema = v.object({
  /** The name in the API. */
  id: modelId,
  /** The command that wrote the folder, and may replace it. */
  madeBy: v.optional(v.string()),
  description: v.optional(v.string(), ""),
  license: v.optional(v.string()),
  /** Unix seconds. */
  created: v.optional(v.number(), 0),
  /** Iterations a token when nobody says otherwise. */
  iterations: count,
  /** The most that a request may ask for. */
  maxIterations: count,
  effort: v.object(Object.fromEntries(EFFORTS.map((e) => [e, count])) as Record<Effort, typeof count>),
  exit: v.object({
    criterion: v.picklist(EXIT_CRITERIA),
    threshold: v.pipe(v.number(), v.minValue(0)),
    wake: v.optional(v.pipe(v.number(), v.minValue(0))),
    minIterations: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  }),
  cache: v.string(),
  /** Tokens of a completion when nobody says otherwise. */
  maxCompletionTokens: v.optional(count, 64),
  /** How the weights were made. */
  training: v.optional(v.record(v.string(), v.unknown())),
  quantisation: v.optional(v.record(v.string(), v.unknown())),
  quality: v.optional(v.array(qualityRow), []),
  qualityMeasuredBy: v.optional(v.string()),
  calibration: v.optional(calibration),
  exits: v.optional(v.array(measuredExit), []),
});

export type CardJson = v.InferOutput<typeof cardSchema>;
export type CardCalibration = v.InferOutput<typeof calibration>;
export type MeasuredExit = v.InferOutput<typeof measuredExit>;
export type QualityRow = v.InferOutput<typeof qualityRow>;

export interface ModelCard extends CardJson {
  readonly exitRule: ExitRule;
  readonly cacheStrategy: CacheStrategy;
}

/** Reads a folder's card; a folder without one gets `defaultCard`. @throws {FathomError} invalid_card */
export async function readCard(folder: ModelFolder, config: ModelConfig): Promise<ModelCard> {
  const text = await folder.readText("card.json");
  return parseCard(text === undefined ? defaultCard("model", config) : parseJson(folder, "card.json", text, "invalid_card"));
}

/** @throws {FathomError} invalid_card, naming the field. */
export function parseCard(json: unknown): ModelCard {
  const result = v.safeParse(cardSchema, json);
  if (!result.success) {
    const [issue] = result.issues;
    const field = v.getDotPath(issue) ?? "card.json";
    throw new FathomError("invalid_card", `card.json: ${field}: ${issue.message}.`, field);
  }
  const card = result.output;
  const deepest = Math.max(card.iterations, ...Object.values(card.effort));
  if (deepest > card.maxIterations)
    throw new FathomError(
      "invalid_card",
      `card.json: iterations and effort go up to ${deepest}, above maxIterations ${card.maxIterations}.`,
      "maxIterations",
    );
  return { ...card, exitRule: exitRuleOf(card.exit), cacheStrategy: parseCacheStrategy(card.cache) };
}

/** A card for a checkpoint that comes without one: efforts are powers of two around its mean recurrence. */
export function defaultCard(id: string, config: ModelConfig): CardJson {
  const mean = config.meanRecurrence;
  const effort = { none: 1, minimal: 2, low: Math.ceil(mean / 4), medium: Math.ceil(mean / 2), high: mean, xhigh: mean * 2, max: mean * 2 };
  return {
    id,
    description: "",
    created: 0,
    iterations: mean,
    maxIterations: mean * 2,
    effort: { ...effort, minimal: Math.min(2, mean) },
    exit: { criterion: "latent-diff", threshold: DEFAULT_THRESHOLDS["latent-diff"], minIterations: 0 },
    cache: "full",
    maxCompletionTokens: 64,
    quality: [],
    exits: [],
  };
}

function exitRuleOf({ criterion, threshold, wake, minIterations }: CardJson["exit"]): ExitRule {
  return { criterion, threshold, minIterations, ...(wake !== undefined && { wake }) };
}

/** The card's measured exit rules, those that its cache and a backend allow; `hasAttention`: it reports what rows attend to. */
export function usableExits(
  { exits, cacheStrategy: { lookup, sharing } }: ModelCard,
  { coreLayers }: ModelConfig,
  hasAttention: boolean,
): { exit: ExitRule; meanIterations: number; accuracy: number }[] {
  const keepsOne = lookup === "latest" && sharing.kind === "cyclic" && sharing.slots === coreLayers;
  return exits
    .map(({ exit, meanIterations, accuracy }) => ({ exit: exitRuleOf({ ...exit, minIterations: 0 }), meanIterations, accuracy }))
    .filter(({ exit }) => !stopsRowByRow(exit) || (keepsOne && (exit.criterion === "prefix" || hasAttention)));
}

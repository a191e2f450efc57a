/**
 * card.json: what a model is called, how deep it thinks by default, and what was measured on it. Written by commands
 * (`fathom convert`, `fathom eval --card`), read by the worker and the CLI.
 */
import * as v from "valibot";
import { mixesLayers, parseCacheStrategy, type CacheStrategy } from "../cache-strategy.ts";
import { FathomError } from "../errors.ts";
import { cacheObjection, DEFAULT_THRESHOLDS, stopsRowByRow, type ExitRule } from "../exit-rule.ts";
import { nearest } from "../nearest.ts";
import { count, exitSchema, iterations, measuredExitSchema, MOST, notNegative, positive, share, whole } from "./card-values.ts";
import type { ModelConfig } from "./config.ts";
import { decisionsSchema } from "./decisions-card.ts";
import { embeddingsSchema } from "./embeddings-card.ts";
import { fileListSchema } from "./file-list.ts";
import { parseJson, type ModelFolder } from "./folder.ts";

/** OpenAI's reasoning_effort values, in ascending order. */
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

/** The values of `reasoning_effort`, from least to most depth. */
export type Effort = (typeof EFFORTS)[number];

/** Accuracy of one task at one difficulty. */
const qualityRow = v.strictObject({
  task: v.string(),
  level: v.optional(v.pipe(v.number(), v.finite())),
  /** Problems asked. */
  n: count,
  /** The hardest level seen in training. */
  trainedTo: v.optional(v.pipe(v.number(), v.finite())),
  /** Iterations -> share answered exactly, 0..1, without early exit. */
  accuracy: v.record(v.pipe(v.string(), v.regex(/^\d+$/)), share),
  /** Accuracy, 0 to 1, and iterations a token with the card's exit rule. */
  withExit: v.optional(v.strictObject({ accuracy: share, meanIterations: notNegative })),
});

/** How long a work unit takes on a host and build (engine/budget/calibration.ts). */
const calibration = v.strictObject({
  msPerUnit: v.pipe(
    v.strictObject({ p50: positive, p95: positive }),
    v.check(({ p50, p95 }) => p50 <= p95, "p95 must not be below p50"),
  ),
  overheadMs: notNegative,
  weights: v.strictObject({
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
const measuredExit = v.strictObject({
  exit: measuredExitSchema,
  /** Core iterations a row. */
  meanIterations: positive,
  /** Share answered exactly, 0..1. */
  accuracy: share,
  n: count,
});

/** How prompts of a kind begin and end that the model was trained on (forms.ts). */
const promptForm = v.strictObject({
  name: v.string(),
  begins: v.array(v.string()),
  ends: v.array(v.string()),
  example: v.string(),
});

const modelId = v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/));

/** Whether a name can stand in the API, in file names and in URLs. */
export function isModelId(name: string): boolean {
  return v.is(modelId, name);
}

const cardSchema = v.strictObject({
  /** The name in the API. */
  id: modelId,
  /** The command that wrote the folder, and may replace it. */
  madeBy: v.optional(v.string()),
  /** The folder whose files this one shares, by its path from here or its name (base-folder.ts). */
  base: v.optional(v.string()),
  /** The model's other files, name to SHA-256 and size (file-list.ts). */
  files: v.optional(fileListSchema),
  description: v.optional(v.string(), ""),
  license: v.optional(v.string()),
  /** The forms of prompts that the model was trained on, where it knows nothing else. */
  forms: v.optional(v.array(promptForm)),
  /** Unix seconds. */
  created: v.optional(whole(0), 0),
  /** Iterations a token when nobody says otherwise. */
  iterations,
  /** The most that a request may ask for. */
  maxIterations: iterations,
  effort: v.strictObject(Object.fromEntries(EFFORTS.map((e) => [e, iterations])) as Record<Effort, typeof iterations>),
  exit: exitSchema,
  cache: v.string(),
  /** Tokens of a completion when nobody says otherwise. */
  maxCompletionTokens: v.optional(whole(1, MOST.tokens), 64),
  /** How the weights were made. */
  training: v.optional(v.record(v.string(), v.unknown())),
  quantisation: v.optional(v.record(v.string(), v.unknown())),
  quality: v.optional(v.array(qualityRow), []),
  qualityMeasuredBy: v.optional(v.string()),
  calibration: v.optional(calibration),
  exits: v.optional(v.array(measuredExit), []),
  decisions: v.optional(decisionsSchema),
  embeddings: v.optional(embeddingsSchema),
});

/** card.json as it lies in a model's folder. */
export type CardJson = v.InferOutput<typeof cardSchema>;

/** An exit rule with what it was measured to cost and to keep. */
export type MeasuredExit = v.InferOutput<typeof measuredExit>;
export type QualityRow = v.InferOutput<typeof qualityRow>;

/** A model's card as read: what card.json says, with its exit rule and cache strategy parsed. */
export interface ModelCard extends CardJson {
  readonly exitRule: ExitRule;
  readonly cacheStrategy: CacheStrategy;
}

/** Reads a folder's card; a folder without one gets `defaultCard`. @throws {FathomError} invalid_card */
export async function readCard(folder: ModelFolder, config: ModelConfig): Promise<ModelCard> {
  const text = await folder.readText("card.json");
  return parseCard(text === undefined ? defaultCard("model", config) : parseJson(folder, "card.json", text, "invalid_card"), config);
}

/**
 * Checks a card by itself and, where the config is given, against the model that it is for.
 * @throws {FathomError} invalid_card, naming the field.
 */
export function parseCard(json: unknown, config?: ModelConfig): ModelCard {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new FathomError("invalid_card", "card.json must hold one JSON object.", "card.json");
  const result = v.safeParse(cardSchema, json);
  if (!result.success) throw issueOf(result.issues[0]);
  const card = { ...result.output, exitRule: exitRuleOf(result.output.exit), cacheStrategy: cacheOf(result.output.cache) };
  checkDepths(card);
  if (config !== undefined) checkAgainst(card, config);
  return card;
}

function bad(field: string, what: string, options?: ErrorOptions): FathomError {
  return new FathomError("invalid_card", `card.json: ${field}${what}.`, field, options);
}

function issueOf(issue: v.InferIssue<typeof cardSchema>): FathomError {
  const field = v.getDotPath(issue)!;
  if (issue.type !== "strict_object" || issue.expected !== "never") return bad(field, `: ${issue.message}`);
  const path = issue.path!.map(({ key }) => String(key));
  const meant = nearest(path.at(-1)!, namesAt(path.slice(0, -1)));
  return bad(field, ` is not a field of a card${meant === undefined ? "; remove it" : `; did you mean ${meant}?`}`);
}

/** The names that an object in the card may have. */
function namesAt(path: readonly string[]): string[] {
  let schema: unknown = cardSchema;
  for (const key of path) {
    const { entries, item } = unwrap(schema);
    schema = entries?.[key] ?? item;
  }
  return Object.keys(unwrap(schema).entries ?? {});
}

function unwrap(schema: unknown): { entries?: Record<string, unknown>; item?: unknown } {
  let inner = (schema ?? {}) as { entries?: Record<string, unknown>; item?: unknown; wrapped?: unknown };
  while (inner.wrapped !== undefined) inner = inner.wrapped as typeof inner;
  return inner;
}

function cacheOf(name: string): CacheStrategy {
  try {
    return parseCacheStrategy(name);
  } catch (cause) {
    throw bad("cache", `: ${(cause as Error).message.replace(/\.$/, "")}`, { cause });
  }
}

/** No default and no effort is beyond the most. */
function checkDepths({ iterations: standard, effort, exitRule, maxIterations, decisions }: ModelCard): void {
  const deepest = Math.max(standard, decisions?.iterations ?? 0, ...Object.values(effort));
  if (deepest > maxIterations) throw bad("maxIterations", `: iterations and effort go up to ${deepest}, above it (${maxIterations})`);
  const { minIterations = 0 } = exitRule;
  if (minIterations > maxIterations)
    throw bad("exit.minIterations", `: ${minIterations} is above maxIterations ${maxIterations}, so the rule would never be asked`);
}

/** What would fail, or answer wrongly, only when a request comes. */
function checkAgainst(
  { cacheStrategy: cache, exitRule, maxCompletionTokens }: ModelCard,
  { contextLength, coreLayers }: ModelConfig,
): void {
  if (maxCompletionTokens > contextLength)
    throw bad("maxCompletionTokens", `: ${maxCompletionTokens} is more than the model's context of ${contextLength} tokens`);
  if (cache.lookup === "strict")
    throw bad(
      "cache",
      `: ${cache.name} finds nothing where tokens thought to different depths; join it with a lookup, such as latest-m${coreLayers}-${cache.name}`,
    );
  if (mixesLayers(cache.sharing, coreLayers))
    throw bad(
      "cache",
      `: ${cache.name} shares slots between the ${coreLayers} layers of the core; use a multiple, such as compress-s${coreLayers}`,
    );
  const objection = cacheObjection(exitRule, cache, coreLayers);
  if (objection !== undefined) throw bad("exit", `: ${exitRule.criterion} ${objection}`);
}

/** A card for a checkpoint that comes without one: efforts are powers of two around its mean recurrence. */
export function defaultCard(id: string, config: ModelConfig): CardJson {
  const mean = config.meanRecurrence;
  const most = Math.min(mean * 2, MOST.iterations);
  const minimal = Math.min(2, mean);
  const low = Math.max(minimal, Math.ceil(mean / 4));
  const medium = Math.max(low, Math.ceil(mean / 2));
  return {
    id,
    description: "",
    created: 0,
    iterations: config.exitAt ?? mean,
    maxIterations: most,
    effort: { none: 1, minimal, low, medium, high: mean, xhigh: most, max: most },
    exit: defaultExit(config),
    cache: "full",
    maxCompletionTokens: Math.min(64, config.contextLength),
    quality: [],
    exits: [],
  };
}

/**
 * A card that a command writes for a checkpoint without one: `defaultCard`, with the cache and the exit rule of serving,
 * at the threshold that held accuracy in docs/exits.md.
 */
export function servingCard(id: string, config: ModelConfig): CardJson {
  const cache = `latest-m${config.coreLayers}-compress-s${config.coreLayers}`;
  const card = defaultCard(id, config);
  if (config.recurrence.exitGate) return card; // its own gate, and every loop's keys and values, as it was trained
  return { ...card, cache, exit: { criterion: "rest-wake", threshold: DEFAULT_THRESHOLDS["rest-wake"], minIterations: 0 } };
}

/** Where a model has learned when to exit, that, at the threshold of its own file. */
function defaultExit({ gateThreshold, exitAt }: ModelConfig): CardJson["exit"] {
  if (gateThreshold === undefined) return { criterion: "latent-diff", threshold: DEFAULT_THRESHOLDS["latent-diff"], minIterations: 0 };
  return gateThreshold < 1 && exitAt === undefined
    ? { criterion: "gate", threshold: gateThreshold, minIterations: 0 }
    : { criterion: "none", threshold: 0, minIterations: 0 };
}

/** The card's form of a rule as the engine's. */
export function exitRuleOf({ criterion, threshold, wake, minIterations }: CardJson["exit"]): ExitRule {
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

/** Files beside the weights that a card names: they belong to the model wherever it is copied. */
export function namedFiles({ decisions, embeddings }: Pick<CardJson, "decisions" | "embeddings">): string[] {
  return [...new Set([decisions?.match?.file, embeddings?.file].filter((file) => file !== undefined))];
}

/**
 * Models as callers see them: the list, and a card with all that is needed to choose a budget knowingly.
 */
import { calibrationFor, type Calibration } from "../engine/budget/calibration.ts";
import type { PriceCard } from "../engine/budget/price.ts";
import type { MeasuredExit, QualityRow } from "../engine/model/card.ts";
import type { DecisionForm } from "../engine/model/decisions.ts";
import { EFFORTS } from "../engine/model/card.ts";
import type { NamedCard, NamedModel } from "./catalogue.ts";
import { exitObject, modelObject } from "./openai.ts";
import type { Service } from "./service.ts";

/** The list of models in OpenAI's shape (`object`, `data`) and in TypeSafe's (`models`) at once: their clients read the same path. */
export function modelList(models: readonly NamedCard[]): object {
  return {
    object: "list",
    data: models.map(({ id, card }) => modelObject(id, card.created)),
    models: models.map(({ id, card }) => ({
      name: id,
      description: card.description,
      release_date: new Date(card.created * 1000).toISOString().slice(0, "YYYY-MM-DD".length),
    })),
  };
}

/** What a request may ask for here: the card, under the deployment's ceilings. */
export function modelDetails(
  { id, model: { card, config, backend, decisions, embeddings } }: NamedModel,
  { limits, price }: Pick<Service<never>, "limits" | "price">,
): object {
  const within = (iterations: number): number => Math.min(iterations, limits.maxIterations);
  return modelObject(id, card.created, {
    description: card.description,
    ...(card.license !== undefined && { license: card.license }),
    ...(card.forms !== undefined && { forms: card.forms }),
    context_length: config.contextLength,
    vocabulary_size: config.vocabSize,
    backend: backend.name,
    max_completion_tokens: { default: card.maxCompletionTokens, max: Math.min(config.contextLength, limits.maxCompletionTokens) },
    iterations: { default: within(card.iterations), max: within(card.maxIterations), mean_recurrence: config.meanRecurrence },
    effort: Object.fromEntries(EFFORTS.map((effort) => [effort, within(card.effort[effort])])),
    exit: exitObject(card.exitRule),
    cache: card.cache,
    decisions: decisionsObject(decisions),
    ...(embeddings && { embeddings: { dimensions: embeddings.size } }),
    cost: costObject(calibrationFor(backend.name, card.calibration), price),
    ...(card.exits.length > 0 && { exits: card.exits.map(measuredObject) }),
    quality: card.quality.map(qualityObject),
    ...(card.qualityMeasuredBy !== undefined && { quality_measured_by: card.qualityMeasuredBy }),
    ...(card.quantisation !== undefined && { quantisation: card.quantisation }),
    ...(card.training !== undefined && { training: card.training }),
  });
}

/** Says how a model decides, and the labels that it was trained on. */
function decisionsObject(form: DecisionForm): object {
  const labels = form.name === "branches" ? (form.labels ?? []) : [];
  return {
    form: form.name,
    ...(labels.length > 0 && {
      labels: labels.map(({ kind, instructions, labels: known }) => ({ type: kind, instructions, labels: [...known.keys()] })),
    }),
  };
}

/** What turns work into time and money here. */
function costObject(
  { msPerUnit, overheadMs, samples, measuredAt, host }: Calibration,
  { name, usdPerRequest, usdPerMs }: PriceCard,
): object {
  return {
    ms_per_unit: msPerUnit,
    overhead_ms: overheadMs,
    ...(samples > 0 ? { measured_at: measuredAt, samples, host } : { assumed: true }),
    price: { name, usd_per_request: usdPerRequest, usd_per_ms: usdPerMs },
  };
}

function measuredObject({ exit, accuracy, meanIterations, n }: MeasuredExit): object {
  return { ...exit, accuracy, mean_iterations: meanIterations, n };
}

function qualityObject({ task, level, n, trainedTo, accuracy, withExit }: QualityRow): object {
  return {
    task,
    level,
    n,
    trained_to: trainedTo,
    accuracy,
    with_exit: withExit && { accuracy: withExit.accuracy, mean_iterations: withExit.meanIterations },
  };
}

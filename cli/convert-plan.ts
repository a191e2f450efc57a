/**
 * fathom convert --dry-run: what a conversion would make, before a byte is written: the family, how large each form
 * would be, and on which hosts it would answer.
 */
import { parseCacheStrategy } from "../engine/cache-strategy.ts";
import { servingCard } from "../engine/model/card.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { planConversion, TARGET_FORMATS, type ConversionPlan, type TargetFormat } from "../engine/model/convert.ts";
import { cacheSlots } from "../engine/port/cached-sequence.ts";
import { ISOLATE_LIMIT_BYTES, hostLimitBytes, WASM_LIMIT_BYTES } from "../wasm/limits.ts";

/** Positions of the request that must find room beside the weights. */
const POSITIONS = 256;
/** Rows that pass through the Wasm core's working memory together: CHUNK_ROWS of wasm/workspace.ts. */
const SCRATCH_ROWS = 65;
/** Bytes of a cached number: int8 and its share of a scale, or f32. */
const CACHED_BYTES = { quantised: 1.25, f32: 4 } as const;

export interface PlannedForm {
  readonly format: TargetFormat;
  readonly fileBytes: number;
  /** Weights, working memory and one request of 256 positions, about. */
  readonly memoryBytes: number;
  readonly fits: { readonly isolate: boolean; readonly page: boolean; readonly here: boolean };
}

/** Sizes of a model in every form that its matrices can be cut into. @param group columns that share a scale [default by plan] */
export function plannedForms(config: ModelConfig, group?: number): PlannedForm[] {
  return TARGET_FORMATS.flatMap((format): PlannedForm[] => {
    const plan = tryPlan(config, format, group);
    if (plan === undefined) return [];
    const memoryBytes = plan.dataBytes + scratchBytes(plan) + cacheBytes(config, format);
    const within = (limit: number): boolean => memoryBytes <= limit;
    return [
      {
        format,
        fileBytes: plan.header.length + plan.dataBytes,
        memoryBytes,
        fits: { isolate: within(ISOLATE_LIMIT_BYTES), page: within(WASM_LIMIT_BYTES), here: within(hostLimitBytes()) },
      },
    ];
  });
}

/** The plan of a form; undefined where groups do not divide a matrix. */
function tryPlan(config: ModelConfig, format: TargetFormat, group: number | undefined): ConversionPlan | undefined {
  try {
    return planConversion(config, format, group);
  } catch {
    return undefined;
  }
}

function scratchBytes({ tensors }: ConversionPlan): number {
  let [columns, rows] = [0, 0];
  for (const { spec } of tensors.values()) {
    if (spec.kind === "vector") continue;
    columns = Math.max(columns, spec.shape[1]!);
    if (/\.(?:attn|mlp|adapter)\./.test(spec.name)) rows = Math.max(rows, spec.shape[0]!);
  }
  return SCRATCH_ROWS * 4 * (2 * columns + rows);
}

function cacheBytes(config: ModelConfig, format: TargetFormat): number {
  const { cache, iterations } = servingCard("model", config);
  const slots = cacheSlots({ capacity: POSITIONS, maxIterations: iterations, cache: parseCacheStrategy(cache) }, config);
  return POSITIONS * slots * 2 * config.kvHeads * config.headDim * (format === "f32" ? CACHED_BYTES.f32 : CACHED_BYTES.quantised);
}

/** The plan as lines of text. @param chosen the form that was asked for */
export function planLines(config: ModelConfig, chosen: TargetFormat, group?: number): string[] {
  const { family, preludeLayers, coreLayers, codaLayers, width, vocabSize, meanRecurrence } = config;
  const forms = plannedForms(config, group);
  const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(2)} MB`);
  const hosts = ({ isolate, page, here }: PlannedForm["fits"]): string =>
    [isolate ? "an isolate" : "", page ? "a page, Node and Deno with that memory" : "", here ? "this machine now" : ""]
      .filter((host) => host !== "")
      .join("; ") || "no host of the Wasm core (4 GiB)";
  return [
    `${family}: ${preludeLayers} + ${coreLayers} + ${codaLayers} layers, width ${width}, ${vocabSize} tokens, ${meanRecurrence} iterations`,
    ...forms.map(
      ({ format, fileBytes, memoryBytes, fits }) =>
        `${format === chosen ? ">" : " "} ${format.padEnd(3)} ${size(fileBytes)} of weights, ${size(memoryBytes)} with a request of ${POSITIONS} tokens: ${hosts(fits)}`,
    ),
    "Nothing was written.",
  ];
}

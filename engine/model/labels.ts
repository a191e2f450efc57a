/**
 * Labels of a user's own: vectors that stand for them in place of their texts' own, fitted to rows over a base model's
 * frozen states and the rows' words (`fathom train`). Read from a file of the folder, checked against the base's match. Not here: fitting,
 * and what vectors are multiplied with (engine/decide).
 */
import * as v from "valibot";
import { FathomError } from "../errors.ts";
import type { ModelCard } from "./card.ts";
import type { ModelFolder } from "./folder.ts";
import type { MatchWeights } from "./match.ts";
import { readSmallTensors, type SmallTensorFile } from "./small-tensors.ts";

/** Key of the safetensors metadata that describes the sets: JSON, a list in the order of the tensors. */
export const LABELS_METADATA = "fathom.labels";

const finite = v.pipe(v.number(), v.finite());

/** A set as the metadata has it; its tensors are `vectors.N`, [texts, size], and `biases.N`, [texts]. */
const setSchema = v.strictObject({
  kind: v.picklist(["predicate", "choice", "score"]),
  /** The question that the rows answered; null: any choice between these labels. */
  instructions: v.nullable(v.string()),
  /** What a model reads of each label; of a predicate one empty text. */
  texts: v.pipe(v.array(v.string()), v.minLength(1)),
  /** Divides scores before they become probabilities. */
  temperature: v.pipe(finite, v.gtValue(0)),
  /** fit = sigmoid(slope * score + intercept) */
  fit: v.strictObject({ slope: finite, intercept: finite }),
  /** Buckets of the words' own weights, a tensor `wording.N`, [texts, buckets]; none where words say nothing. */
  wording: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_536))),
  /** Fit below which no label fits. */
  threshold: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
});

export type LabelSetRecord = v.InferOutput<typeof setSchema>;

/** A label's score is the dot product of its vector and a question's, and of its words' weights and an input's, plus its bias. */
export interface LabelVector {
  readonly vector: Float32Array;
  readonly wording?: Float32Array;
  readonly bias: number;
}

export interface LabelSet extends Omit<LabelSetRecord, "texts"> {
  /** Vectors by the labels' texts. */
  readonly labels: ReadonlyMap<string, LabelVector>;
}

/** The tensors' names of a set. */
export function labelTensors(index: number): { readonly vectors: string; readonly biases: string; readonly wording: string } {
  return { vectors: `vectors.${index}`, biases: `biases.${index}`, wording: `wording.${index}` };
}

/**
 * Reads what the card's `decisions.labels` names; none where it has none.
 * @throws {FathomError} invalid_checkpoint, invalid_card where the model has no match
 */
export async function readLabels(
  folder: ModelFolder,
  { decisions }: ModelCard,
  match: MatchWeights | undefined,
): Promise<readonly LabelSet[]> {
  if (decisions?.labels === undefined) return [];
  if (match === undefined)
    throw new FathomError("invalid_card", "card.json: decisions.labels: only a model with decisions.match has labels.", "decisions.labels");
  const file = await readSmallTensors(folder, decisions.labels.file, undefined, "decisions.labels");
  return recordsOf(file).map((record, i) => {
    const names = labelTensors(i);
    const vectors = file.matrix(names.vectors, match.size);
    const biases = file.tensor(names.biases);
    if (vectors.rows !== record.texts.length || biases.values.length !== record.texts.length)
      throw invalid(file, `${names.vectors} and ${names.biases} must have ${record.texts.length} rows, one a label`);
    const { texts, ...set } = record;
    const words = set.wording === undefined ? undefined : file.matrix(names.wording, set.wording);
    if (words !== undefined && words.rows !== texts.length)
      throw invalid(file, `${names.wording} must have ${texts.length} rows, one a label`);
    const label = (n: number): LabelVector => ({
      vector: vectors.values.subarray(n * match.size, (n + 1) * match.size),
      ...(words && { wording: words.values.subarray(n * set.wording!, (n + 1) * set.wording!) }),
      bias: biases.values[n]!,
    });
    return { ...set, labels: new Map(texts.map((text, n) => [text, label(n)])) };
  });
}

function recordsOf(file: SmallTensorFile): LabelSetRecord[] {
  let json: unknown;
  try {
    json = JSON.parse(file.metadata[LABELS_METADATA] ?? "");
  } catch (cause) {
    throw invalid(file, `its metadata has no ${LABELS_METADATA} that is JSON; make it anew with fathom train`, cause);
  }
  const result = v.safeParse(v.array(setSchema), json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw invalid(file, `${LABELS_METADATA}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
}

function invalid({ path }: SmallTensorFile, what: string, cause?: unknown): FathomError {
  return new FathomError("invalid_checkpoint", `${path}: ${what}.`, undefined, { cause });
}

/**
 * The shape of OpenAI's POST /v1/embeddings: its body to a request without a wire, and vectors back. Not here: computing
 * them (execute.ts), HTTP (route.ts).
 */
import * as v from "valibot";
import type { BudgetRequest } from "../budget.ts";
import { check, excerpt, object, oneOf, refuseDeep, wholeNumber } from "../check.ts";
import type { CompletionReport } from "../completion.ts";
import { ApiError } from "../errors.ts";
import { refuseForeign } from "../foreign-fields.ts";
import { costs } from "../openai.ts";

/** Most inputs of a request, as in OpenAI's API. */
const MOST_INPUTS = 2048;

export interface WireEmbeddings extends BudgetRequest {
  /** Name of the model. */
  readonly model: string;
  /** Texts, or lists of token ids. */
  readonly inputs: readonly (string | readonly number[])[];
  /** The body's input is one text or one list of ids, not a list of them. */
  readonly isSingle: boolean;
  /** Elements of a vector. [default the model's] */
  readonly dimensions: number | undefined;
  readonly format: "float" | "base64";
}

export interface EmbeddingsReport extends CompletionReport {
  readonly vectors: readonly Float32Array[];
  readonly format: WireEmbeddings["format"];
}

const FIELDS = {
  model: v.string("the name of a model"),
  input: v.any(),
  dimensions: v.nullish(wholeNumber(1)),
  encoding_format: v.nullish(oneOf(["float", "base64"]), "float"),
  budget: v.optional(v.unknown()),
};
/** The body of POST /v1/embeddings. */
export const embeddingsBody = object(FIELDS, "a JSON object");

/** What is said about a request without changing its answer. */
export const IGNORED: ReadonlySet<string> = new Set(["user", "metadata", "safety_identifier"]);

/** Checks a body; the budget's own fields are checked later, against the model. @throws {ApiError} 400 with the field */
export function parseEmbeddings(json: unknown): WireEmbeddings {
  refuseDeep(json);
  const { model, input, dimensions, encoding_format: format, budget } = check(embeddingsBody, json);
  refuseForeign({ ignored: IGNORED, unsupported: {} }, FIELDS, json as object);
  return { model, ...inputsOf(input), dimensions: dimensions ?? undefined, format, budget, effort: undefined, maxTokens: undefined };
}

function inputsOf(input: unknown): Pick<WireEmbeddings, "inputs" | "isSingle"> {
  if (input === undefined) throw new ApiError(400, "missing_required_parameter", "input is missing.", "input");
  if (typeof input === "string") return { inputs: [input], isSingle: true };
  if (!Array.isArray(input)) throw wrong("input", "a text, a list of texts, a list of token ids, or a list of such lists", input);
  if (input.length === 0) throw wrong("input", "a text or a list that is not empty", input);
  const [first] = input as readonly unknown[];
  if (typeof first === "number") return { inputs: [input.map((id, i) => tokenId(id, `input[${i}]`))], isSingle: true };
  if (input.length > MOST_INPUTS)
    throw new ApiError(400, "invalid_value", `input must be a list of up to ${MOST_INPUTS} texts, not of ${input.length}.`, "input");
  return { inputs: input.map((one, i) => inputOf(one, `input[${i}]`, typeof first)), isSingle: false };
}

/** All of a list's inputs are of the kind of the first. */
function inputOf(input: unknown, param: string, kind: string): string | number[] {
  if (kind !== "string" && Array.isArray(input)) return input.map((id, i) => tokenId(id, `${param}[${i}]`));
  if (kind === "string" && typeof input === "string") return input;
  throw wrong(param, kind === "string" ? "a text" : "a list of token ids", input);
}

function tokenId(id: unknown, param: string): number {
  if (Number.isSafeInteger(id) && (id as number) >= 0) return id as number;
  throw wrong(param, "a token id", id);
}

function wrong(param: string, expected: string, given: unknown): ApiError {
  return new ApiError(400, "invalid_type", `${param} must be ${expected}, not ${excerpt(given)}.`, param);
}

/** @param model its own name, not an alias */
export function embeddingsObject(model: string, report: EmbeddingsReport): object {
  const { usage, budget } = costs(report);
  const { completion_tokens: _none, completion_tokens_details: _details, ...counted } = usage;
  const { max_completion_tokens: _max, ...granted } = budget.granted;
  const written = report.format === "base64" ? base64 : (vector: Float32Array): number[] => [...vector];
  return {
    object: "list",
    data: report.vectors.map((vector, index) => ({ object: "embedding", index, embedding: written(vector) })),
    model,
    usage: counted,
    budget: { ...budget, granted },
  };
}

/** Little-endian f32, as the bytes of a text. */
function base64(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, i) => view.setFloat32(4 * i, value, true));
  let bytes = "";
  for (let at = 0; at < view.byteLength; at += MOST_ARGUMENTS)
    bytes += String.fromCharCode(...new Uint8Array(view.buffer, at, Math.min(MOST_ARGUMENTS, view.byteLength - at)));
  return btoa(bytes);
}

/** Arguments that every engine takes at once. */
const MOST_ARGUMENTS = 8192;

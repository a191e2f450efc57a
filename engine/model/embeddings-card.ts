/**
 * The part of a card that says how a model makes vectors of texts. Not here: the matrix itself (embeddings.ts).
 */
import * as v from "valibot";
import { marker } from "./marker.ts";

export const embeddingsSchema = v.strictObject({
  file: v.optional(v.string(), "match.safetensors"),
  /** Name of the matrix in it, [size, width]. */
  tensor: v.string(),
  /** What stands before a text, and behind it: the state of the last is mapped. */
  markers: v.strictObject({ begin: v.optional(marker), end: marker }),
});

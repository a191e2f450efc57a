/**
 * The matrix by which a model makes a vector of a text, as the card names it, and the tokens that the text stands
 * between. Not here: computing the state that it maps.
 */
import type { ModelCard } from "./card.ts";
import type { ModelConfig } from "./config.ts";
import type { ModelFolder } from "./folder.ts";
import { markerToken } from "./marker.ts";
import { readSmallTensors } from "./small-tensors.ts";
import type { TextCodec } from "./tokenizer.ts";

export interface EmbeddingHead {
  /** Elements of a vector. */
  readonly size: number;
  /** Matrix over the state of the token behind a text, [size, width] f32. */
  readonly matrix: Float32Array;
  /** The token before a text. [default none] */
  readonly begin: number | undefined;
  /** The token behind a text. */
  readonly end: number;
}

/** Reads what the card's `embeddings` names; undefined where it has none. @throws {FathomError} invalid_checkpoint, invalid_card */
export async function readEmbeddings(
  folder: ModelFolder,
  { embeddings }: ModelCard,
  config: ModelConfig,
  text: TextCodec,
): Promise<EmbeddingHead | undefined> {
  if (embeddings === undefined) return undefined;
  const { file, tensor, markers } = embeddings;
  const token = (name: "begin" | "end"): number => markerToken(markers[name]!, `embeddings.markers.${name}`, config, text);
  const [begin, end] = [markers.begin === undefined ? undefined : token("begin"), token("end")];
  const { rows, values } = (await readSmallTensors(folder, file, [tensor], "embeddings")).matrix(tensor, config.width);
  return { size: rows, matrix: values, begin, end };
}

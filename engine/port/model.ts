/**
 * A model ready to answer: its folder's files read and checked, its weights in a backend.
 */
import * as v from "valibot";
import { callable, checkOptions, named } from "../options.ts";
import type { Backend } from "./backend.ts";
import { FathomError } from "../errors.ts";
import { withBase } from "../model/base-folder.ts";
import { readCard, type ModelCard } from "../model/card.ts";
import type { WeightSink } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import { decisionForm, type DecisionForm } from "../model/decisions.ts";
import { readEmbeddings, type EmbeddingHead } from "../model/embeddings.ts";
import { checkedFolder } from "../model/file-list.ts";
import { readConfig, readWeights, type ModelFolder } from "../model/folder.ts";
import { readLabels } from "../model/labels.ts";
import { readMatch } from "../model/match.ts";
import { readTokenizer, type TextCodec } from "../model/tokenizer.ts";
import { weightsOnce } from "../model/weights-once.ts";

/** A loaded model: its files as read, and the backend that computes it. */
export interface Model<B extends Backend = Backend> {
  readonly config: ModelConfig;
  readonly card: ModelCard;
  readonly text: TextCodec;
  /** How the model answers typed questions. */
  readonly decisions: DecisionForm;
  /** What makes vectors of texts; undefined: the model has no such head. */
  readonly embeddings?: EmbeddingHead | undefined;
  readonly backend: B;
}

const modelParts = named({
  folder: v.custom<ModelFolder>(isFolder, "a model folder: an object with a name and functions readText and open"),
  createBackend: callable<BackendFactory>(),
});

function isFolder(value: unknown): boolean {
  const { name, readText, open } = Object(value) as Partial<ModelFolder>;
  return typeof name === "string" && typeof readText === "function" && typeof open === "function";
}

/** Makes a backend and streams weights into it by calling `load` once. */
export type BackendFactory<B extends Backend = Backend> = (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<B>;

/** @throws {FathomError} invalid_card where the backend lacks what the card's exit rule needs */
function checkExit({ exitRule }: ModelCard, backend: Backend): void {
  if (exitRule.criterion === "gate" && backend.exitGate === undefined)
    throw new FathomError("invalid_card", "card.json: exit: gate needs a model with a learned exit gate, which this one has not.", "exit");
  if (exitRule.criterion !== "rest-wake" || exitRule.threshold === 0 || backend.pressure !== undefined) return;
  throw new FathomError(
    "invalid_card",
    `card.json: exit: rest-wake needs to know what rows attend to, which the ${backend.name} backend does not report; use prefix.`,
    "exit",
  );
}

/** The tokenizer's files may name stop tokens that config.json does not: the end of a turn. */
function withEnds(config: ModelConfig, endTokens: readonly number[] = []): ModelConfig {
  return { ...config, eosTokens: [...new Set([...config.eosTokens, ...endTokens])] };
}

/**
 * Loads a model folder into a backend, and checks every file against the digests in its card.
 * @throws {TypeError} where it is given no folder or no function
 * @throws {FathomError} naming the file and what is wrong with it
 * @example
 * ```ts
 * const model = await loadModel(diskFolder("models/nano"), createNodeWasmBackend);
 * ```
 */
export async function loadModel<B extends Backend>(from: ModelFolder, createBackend: BackendFactory<B>): Promise<Model<B>> {
  checkOptions("loadModel", modelParts, { folder: from, createBackend });
  const once = weightsOnce(await withBase(from));
  try {
    const folder = await checkedFolder(once.folder);
    const read = await readConfig(folder);
    const [card, text] = await Promise.all([readCard(folder, read), readTokenizer(folder, read)]);
    const config = withEnds(read, text.endTokens);
    const match = await readMatch(folder, card, read);
    const decisions = decisionForm(card, config, text, match, await readLabels(folder, card, match));
    const embeddings = await readEmbeddings(folder, card, config, text);
    const backend = await createBackend(config, (sink) => readWeights(folder, config, sink));
    checkExit(card, backend);
    return { config, card, text, decisions, embeddings, backend };
  } finally {
    await once.close();
  }
}

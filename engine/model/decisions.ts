/**
 * How a model decides, checked against its tokenizer when it is loaded: which tokens mark a question and its options, or
 * which are the letters. A card that says nothing leaves it to the tokenizer. Not here: asking (engine/decide).
 */
import { FathomError } from "../errors.ts";
import type { ModelCard } from "./card.ts";
import type { ModelConfig } from "./config.ts";
import type { LabelSet } from "./labels.ts";
import { markerToken } from "./marker.ts";
import type { MatchWeights } from "./match.ts";
import type { TextCodec } from "./tokenizer.ts";

/** Ids of the control tokens that put a question. */
export interface DecisionMarkers {
  /** The token that stands before the input. [default none] */
  readonly begin: number | undefined;
  readonly question: number;
  readonly option: number;
  readonly fits: number;
  /** The token whose logit at the end of an option's branch is the option's fit score. */
  readonly yes: number;
}

export type DecisionForm =
  /** Each option is a branch behind its question, and has a fit score of its own. */
  | {
      readonly name: "branches";
      readonly markers: DecisionMarkers;
      readonly match?: MatchWeights | undefined;
      /** Labels of a user's own, over the match. [default none] */
      readonly labels?: readonly LabelSet[];
    }
  /** Options are lettered; the next token's letter decides. By letter: the ids of its token, with and without a space before. */
  | { readonly name: "letters"; readonly letters: readonly (readonly number[])[] }
  /** The text that the model finds likeliest decides. */
  | { readonly name: "likelihood" };

const LETTERS = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

/**
 * @param match what `readMatch` read [default every option becomes a branch]
 * @param labels what `readLabels` read [default none]
 * @throws {FathomError} invalid_card where the card asks for what tokenizer or vocabulary do not have
 */
export function decisionForm(
  { decisions }: ModelCard,
  config: ModelConfig,
  text: TextCodec,
  match?: MatchWeights,
  labels: readonly LabelSet[] = [],
): DecisionForm {
  if (decisions?.match !== undefined && decisions.form !== "branches") throw bad("match", "only the form branches has one; remove it");
  switch (decisions?.form) {
    case "branches": {
      const { markers } = decisions;
      if (markers === undefined) throw bad("markers", "missing; the form branches needs question, option, fits and yes");
      const id = (name: keyof DecisionMarkers): number => markerToken(markers[name]!, `decisions.markers.${name}`, config, text);
      const begin = markers.begin === undefined ? undefined : id("begin");
      const ids = { begin, question: id("question"), option: id("option"), fits: id("fits"), yes: id("yes") };
      return { name: "branches", markers: ids, ...(match && { match, labels }) };
    }
    case "likelihood":
      return { name: "likelihood" };
    case "letters":
    case undefined: {
      const letters = letterTokens(config, text);
      if (letters !== undefined) return { name: "letters", letters };
      if (decisions === undefined) return { name: "likelihood" };
      throw bad("form", "letters needs a tokenizer in which the letters A and B are single tokens; use likelihood");
    }
  }
}

/** Letters from A on, as far as each is one token of its own; undefined where there are fewer than two. */
function letterTokens({ vocabSize }: ModelConfig, text: TextCodec): number[][] | undefined {
  const taken = new Set<number>();
  const letters: number[][] = [];
  for (const letter of LETTERS) {
    const ids = [letter, ` ${letter}`].map((written) => text.encodePart(written)).filter((tokens) => tokens.length === 1);
    const own = [...new Set(ids.map(([id]) => id!))].filter(
      (id) => id < vocabSize && !taken.has(id) && isLetter(text.tokenName(id), letter),
    );
    if (own.length === 0) break;
    own.forEach((id) => taken.add(id));
    letters.push(own);
  }
  return letters.length < 2 ? undefined : letters;
}

/** An unknown token stands for every letter; it is none. */
function isLetter(name: string, letter: string): boolean {
  return name.trim() === letter;
}

function bad(field: string, what: string): FathomError {
  return new FathomError("invalid_card", `card.json: decisions.${field}: ${what}.`, `decisions.${field}`);
}

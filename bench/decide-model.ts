/**
 * A model that decides, with random weights: width 256, MLP 768, 8 heads, 2 prelude, 2 core and 1 coda layers, vocabulary
 * 12,288, 7.5 M weights, options as branches. Speed does not depend on the values. Its tokenizer has a token a word, so
 * that a case has the lengths that it says.
 */
import type { DecisionRequest, Question } from "../engine/decide/question.ts";
import { defaultCard, parseCard } from "../engine/model/card.ts";
import { parseConfig, type ModelConfig } from "../engine/model/config.ts";
import { decisionForm } from "../engine/model/decisions.ts";
import type { TextCodec } from "../engine/model/tokenizer.ts";
import type { BackendFactory, Model } from "../engine/port/model.ts";
import { benchWeights } from "./model.ts";

export const DECIDER_CONFIG: ModelConfig = parseConfig({
  model_type: "huginn_raven",
  n_embd: 256,
  num_attention_heads: 8,
  intermediate_size: 768,
  n_layers_in_prelude: 2,
  n_layers_in_recurrent_block: 2,
  n_layers_in_coda: 1,
  vocab_size: 12288,
  block_size: 2048,
  qk_bias: true,
});

const MARKERS = { begin: 0, question: 1, option: 2, fits: 3, yes: 4 } as const;
const FIRST_WORD = 5;

/** Words are numbers: each is the token that it says. */
const words: TextCodec = {
  encode: (text) => [MARKERS.begin, ...words.encodePart(text)],
  encodePart: (text) => Array.from(text.matchAll(/\d+/g), ([word]) => FIRST_WORD + Number(word)),
  tokenId: () => undefined,
  encodeChat: (messages) => words.encode(messages.map(({ content }) => content).join(" ")),
  decode: (tokens) => tokens.map((token) => words.tokenName(token)).join(" "),
  tokenName: (token) => `${token - FIRST_WORD}`,
};

/** Random weights of q4 in a backend. */
export async function deciderModel(createBackend: BackendFactory): Promise<Model> {
  const decisions = {
    form: "branches" as const,
    markers: MARKERS,
    temperatures: {},
    exit: { criterion: "none" as const, threshold: 0, minIterations: 0 },
  };
  const card = parseCard({ ...defaultCard("decider", DECIDER_CONFIG), decisions }, DECIDER_CONFIG);
  const backend = await createBackend(DECIDER_CONFIG, benchWeights(DECIDER_CONFIG, "q4"));
  return { config: DECIDER_CONFIG, card, text: words, decisions: decisionForm(card, DECIDER_CONFIG, words), backend };
}

/** What a decision is measured at. */
export interface DecideCase {
  /** Options of each question; 1: predicates. */
  readonly options: number;
  readonly questions: number;
  /** Tokens of the input, its begin marker included. */
  readonly inputTokens: number;
  /** Core iterations. */
  readonly iterations: number;
}

/** What a decision is from which one thing at a time is varied. */
const BASE: DecideCase = { options: 10, questions: 1, inputTokens: 30, iterations: 4 };
const VARIED: Readonly<{ [name in keyof DecideCase]: readonly number[] }> = {
  options: [2, 10, 77, 151, 255],
  questions: [1, 10, 100],
  inputTokens: [30, 100, 200, 500],
  iterations: [1, 2, 4, 8, 16],
};

/** Each once: the base with one thing varied, and the largest that is promised. */
export function decideCases(): DecideCase[] {
  const all = Object.entries(VARIED).flatMap(([name, values]) => values.map((value): DecideCase => ({ ...BASE, [name]: value })));
  const largest: DecideCase = { options: 255, questions: 10, inputTokens: 200, iterations: 2 };
  return [...new Map([...all, largest].map((sized) => [JSON.stringify(sized), sized])).values()];
}

/** Tokens of a question's instructions and of an option's text; markers come besides. */
const QUESTION_WORDS = 8;
const OPTION_WORDS = 2;

/** Text of a case, equal in every run; no two options read the same. */
export function decisionOf({ options, questions, inputTokens }: DecideCase): DecisionRequest {
  const text = (length: number, seed: number): string =>
    Array.from({ length }, (_, i) => ((seed + i) * 7919) % (DECIDER_CONFIG.vocabSize - FIRST_WORD)).join(" ");
  return {
    input: text(inputTokens - 1, 1),
    questions: Array.from({ length: questions }, (_, q): Question => {
      const instructions = text(QUESTION_WORDS, 1000 + q);
      if (options === 1) return { kind: "predicate", instructions };
      return {
        kind: "choice",
        instructions,
        options: Array.from({ length: options }, (__, o) => ({ text: text(OPTION_WORDS, 3000 + 2 * o) })),
      };
    }),
  };
}

/** Tokens of one question with all its options behind the input, as an encoder would read them at once. */
export function tokensAtOnce({ options, inputTokens }: DecideCase): number {
  const ofOption = options === 1 ? 2 : OPTION_WORDS + 2;
  return inputTokens + 1 + QUESTION_WORDS + options * ofOption;
}

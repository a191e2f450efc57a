/**
 * What work on texts takes outside the core, in predicted milliseconds: what a request is charged for it, on hosts whose
 * clocks stand still meanwhile. Not here: how texts are read (engine/model/text).
 */

/** Tokens of a text: 0.5 to 2.2 us a character for the shipped model in Node 24, by kind of text. */
export const MS_PER_CHARACTER = 0.001;

/** A chat template's step, an expression or a statement: 0.3 to 0.5 us in Node 24. */
export const MS_PER_TEMPLATE_STEP = 0.0005;

/** A listener that hears of work on a text once it is done, in predicted milliseconds; an error that it throws ends the work. */
export type OnTextWork = (ms: number) => void;

/**
 * The forms of prompts that a model was trained on, where its card says that it knows nothing else: whether a prompt has
 * one of them, and what to say where it has none. Not here: how well the model answers within a form (the card's quality).
 */

/** Prompts of one kind, by how they begin and end. */
export interface PromptForm {
  readonly name: string;
  /** A prompt of the form begins with one of these... */
  readonly begins: readonly string[];
  /** ...and ends with one of these. */
  readonly ends: readonly string[];
  readonly example: string;
}

/** The form of a prompt, white space around it left out; undefined: it has none of them. */
export function formOf(forms: readonly PromptForm[], prompt: string): PromptForm | undefined {
  const text = prompt.trim();
  return forms.find(({ begins, ends }) => begins.some((start) => text.startsWith(start)) && ends.some((end) => text.endsWith(end)));
}

/** What to say of an answer to a prompt that has none of the model's forms; undefined where it has one, or none are listed. */
export function offForm(id: string, forms: readonly PromptForm[] | undefined, prompt: string): string | undefined {
  if (forms === undefined || forms.length === 0 || formOf(forms, prompt) !== undefined) return undefined;
  const names = forms.map(({ name }) => name).join(", ");
  return (
    `${id} was trained on prompts of ${forms.length} forms (${names}) and on nothing else; this has none of them, so the answer means nothing. ` +
    `One that it can answer: ${JSON.stringify(forms[0]!.example)}`
  );
}

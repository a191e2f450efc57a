/**
 * The routes of a router whose model was trained on labels (`fathom train`): those labels, in place of a template's examples.
 * Reads them and writes them as source; other files are project.ts's.
 */
import type { ModelCard } from "../../engine/model/card.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import type { ModelFolder } from "../../engine/model/folder.ts";
import { readLabels, type LabelSet } from "../../engine/model/labels.ts";
import { readMatch } from "../../engine/model/match.ts";

/** The first choice that the model was trained on; undefined where there is none. */
export async function trainedChoice(folder: ModelFolder, card: ModelCard, config: ModelConfig): Promise<LabelSet | undefined> {
  const sets = await readLabels(folder, card, await readMatch(folder, card, config));
  return sets.find(({ kind }) => kind === "choice");
}

/** The source of a project's file of routes. */
export function routesSource({ instructions, labels, threshold = 0 }: LabelSet): string {
  const routes = [...labels.keys()].map(
    (label) => `  { name: ${JSON.stringify(label)}, option: ${JSON.stringify(label)} },
`,
  );
  return `/**
 * Where requests can go: the labels that the model was trained on. It knows each by its \`option\`, which stays as it was
 * trained; \`name\` is yours. An option that was not trained is matched by what its text means.
 */
export interface Route {
  readonly name: string;
  /** What the model reads. */
  readonly option: string;
  readonly description?: string;
}

export const ROUTES: readonly Route[] = [
${routes.join("")}];

/** The question about every input${instructions === null ? ": labels of {input, label} lines answer any" : ", in the words that were trained on"}. */
export const QUESTION: string = ${JSON.stringify(instructions ?? "")};

/** A route that is less probable than this is nobody's: a person looks at it. */
export const LEAST_PROBABILITY = 0.5;

/** Nor is one that fits less than this by itself: below it, what was trained abstains. */
export const LEAST_FIT = ${threshold.toFixed(3)};
`;
}

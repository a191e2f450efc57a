/**
 * npm run docs:fields: writes the table of all fields into model-format.md, from the lists that the parsers read by.
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { CONFIG } from "../engine/model/fields/config.ts";
import { IGNORED_NOTES, READ_NOTES } from "./field-notes.ts";
import type { FieldList } from "../engine/model/fields/field.ts";
import { GENERATION } from "../engine/model/fields/generation.ts";
import { SPECIAL_TOKENS_MAP, TOKENIZER } from "../engine/model/fields/tokenizer.ts";

export const PAGE = fileURLToPath(new URL("model-format.md", import.meta.url));

const BEGIN = "<!-- fields: written by npm run docs:fields -->\n<!-- prettier-ignore-start -->\n";
const END = "\n<!-- prettier-ignore-end -->\n<!-- end of fields -->";

const LISTS: readonly FieldList[] = [CONFIG, GENERATION, TOKENIZER, SPECIAL_TOKENS_MAP];

/** The page with the table of today's lists. @throws {Error} where the page has lost its markers */
export function withFields(page: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${PAGE} has lost the marks between which the table of fields stands:\n${BEGIN}${END}`);
  return page.slice(0, begin + BEGIN.length) + table() + page.slice(end);
}

function table(): string {
  const rows = LISTS.flatMap((list) => rowsOf(list).map((cells) => [`\`${list.file}\``, ...cells]));
  return [["file", "field", "is", "meaning, and when"], ["---", "---", "---", "---"], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

function rowsOf({ file, read, refused, ignored, mustKnow }: FieldList): string[][] {
  const alike = new Map<string, string[]>(); // parts of rope_scaling and rope_parameters, say
  for (const [name, { kind }] of Object.entries(read)) {
    const meaning = `${noteOf(READ_NOTES, file, name)} (${kind.expected})`;
    alike.set(meaning, [...(alike.get(meaning) ?? []), name]);
  }
  const unknown = mustKnow
    ? "refused where the name speaks of the mathematics (norm, rope, attention, bias, scale, ...), unless false, 0 or empty; told otherwise, with the nearest known name"
    : "told when the model is loaded, with the nearest known name";
  return [
    ...[...alike].map(([meaning, names]) => [list(names), "read", meaning]),
    ...refused.map(({ names, neutral, note, except }) => [
      list(names),
      unless(neutral) + (except ? `, except where ${except.note}` : ""),
      note,
    ]),
    ...ignored.map(({ names }) => [list(names), "ignored", noteOf(IGNORED_NOTES, file, names[0]!)]),
    ["any other", mustKnow ? "refused or ignored" : "ignored", `${unknown}; names that begin with \`_\` are their writer's own`],
  ];
}

function noteOf(notes: typeof READ_NOTES, file: string, name: string): string {
  const note = notes[file]?.[name];
  if (note === undefined) throw new Error(`docs/field-notes.ts says nothing of ${name} of ${file}.`);
  return note;
}

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(", ");
}

function unless(neutral: readonly unknown[]): string {
  return neutral.length === 0 ? "refused" : `refused unless ${neutral.map((value) => `\`${JSON.stringify(value)}\``).join(", ")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PAGE, withFields(await readFile(PAGE, "utf8")));

/**
 * A model folder that is little by itself: its card names a base, whose files it shares, and lists their digests, so that
 * it never works over another base than its own. Not here: finding the base, which is the host's (`ModelFolder.beside`).
 */
import * as v from "valibot";
import { FathomError } from "../errors.ts";
import { CARD, readFileList, type FileList } from "./file-list.ts";
import type { ModelFolder } from "./folder.ts";

/** What of a card tells that it has a base. */
const basedCard = v.object({
  base: v.pipe(v.string(), v.regex(/\S/)),
  decisions: v.optional(v.object({ labels: v.optional(v.object({ file: v.optional(v.string(), "labels.safetensors") })) })),
});

/** The base that a card names, and the files that are not the base's; undefined where it names none or is no card. */
export function baseOf(card: string): { readonly base: string; readonly own: readonly string[] } | undefined {
  let json: unknown;
  try {
    json = JSON.parse(card);
  } catch {
    return undefined; // told by whoever reads the card
  }
  const result = v.safeParse(basedCard, json);
  if (!result.success) return undefined;
  const { base, decisions } = result.output;
  return { base, own: [CARD, ...(decisions?.labels === undefined ? [] : [decisions.labels.file])] };
}

/**
 * A folder together with its base; one without a base as it is.
 * @throws {FathomError} invalid_checkpoint where the base is not there, or is another one than the folder was made for
 */
export async function withBase(folder: ModelFolder): Promise<ModelFolder> {
  const card = await folder.readText(CARD);
  const named = card === undefined ? undefined : baseOf(card);
  if (named === undefined) return folder;
  const { base, own } = named;
  const from = folder.beside?.(base);
  if (from === undefined) throw missing(folder, base, "it is not there");
  const theirs = await from.readText(CARD);
  if (theirs === undefined) throw missing(folder, base, `${from.name} has no ${CARD}`);
  expectSame(folder, from, readFileList(folder, card!) ?? {}, readFileList(from, theirs) ?? {}, own);
  const holder = (file: string): ModelFolder => (own.includes(file) ? folder : from);
  return {
    ...folder,
    pathOf: (file) => `${holder(file).name}/${file}`,
    readText: (file) => holder(file).readText(file),
    open: (file) => holder(file).open(file),
  };
}

/** The digests of two lists, before any file is read: a base that was made anew is told as such, not as damage. */
function expectSame(folder: ModelFolder, from: ModelFolder, expected: FileList, found: FileList, own: readonly string[]): void {
  for (const [file, { sha256 }] of Object.entries(expected)) {
    const theirs = Object.hasOwn(found, file) ? found[file] : undefined;
    if (own.includes(file) || theirs === undefined || theirs.sha256 === sha256) continue;
    throw new FathomError(
      "invalid_checkpoint",
      `${folder.name} was trained over another base: ${from.name}/${file} has SHA-256 ${theirs.sha256}, but ${sha256} was expected. ` +
        "Train it again with fathom train, or put the former base back.",
      file,
    );
  }
}

function missing({ name }: ModelFolder, base: string, why: string): FathomError {
  return new FathomError(
    "invalid_checkpoint",
    `${name} needs its base ${base}, but ${why}; put the base's folder beside it.`,
    "base",
    { isTransient: true }, // storage that distributes files may not have all of them yet
  );
}

/**
 * npm run docs:api: writes api.md, all that the package exports, from the declarations and their comments in the sources.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../test/imports.ts";
import { entries, exportsOf, type Declaration } from "../test/public.ts";

export const PAGE = fileURLToPath(new URL("api.md", import.meta.url));

const HEAD = `<!-- Written by npm run docs:api, from the sources. -->
<!-- prettier-ignore-start -->

# API

What the package exports, by the path that it is imported from; the same texts stand where an editor shows them. Each name links to its source. The HTTP API is in [openapi.json](../openapi.json), [decisions.md](decisions.md), [budget.md](budget.md) and the [README](../README.md).
`;

/** The page of today's sources. */
export function apiPage(): string {
  const all = [...entries()].map(([entry, file]) => ({ entry, declarations: [...exportsOf(file)] }));
  const index = all.map(({ entry, declarations }) => `| \`${entry}\` | ${declarations.map(([name]) => `\`${name}\``).join(", ")} |`);
  const shown = new Map<string, string>();
  const parts = all.map(({ entry, declarations }) => {
    const sections = declarations.map(([name, declaration]) => {
      const before = shown.get(declaration.at);
      shown.set(declaration.at, before ?? entry);
      return before === undefined ? section(name, declaration) : `### ${name}\n\nAs in \`${before}\`.\n`;
    });
    return `## ${entry}\n\n${sections.join("\n")}`;
  });
  return [HEAD, "| from | names |\n| --- | --- |", ...index, "", ...parts, "<!-- prettier-ignore-end -->\n"].join("\n");
}

function section(name: string, { at, kind, comment }: Declaration): string {
  const [file, declared] = at.split(":") as [string, string];
  const { text, tags, examples } = readComment(comment);
  const signature = kind === "function" || kind === "class" ? [`\`\`\`text\n${signatureOf(file, declared)}\n\`\`\``] : [];
  const list = tags.map((tag) => `- ${tag}`).join("\n");
  const body = [`### ${name}`, `[${kind}](../${file}) ${text}`, ...signature, ...(list === "" ? [] : [list]), ...examples];
  return `${body.join("\n\n")}\n`;
}

/** The declaration's first lines, up to its body, in one line. */
function signatureOf(file: string, name: string): string {
  const source = readFileSync(join(ROOT, file), "utf8");
  const start = source.search(new RegExp(`^export (?:declare )?(?:abstract )?(?:async )?(?:function\\*?|class) ${name}\\b`, "m"));
  const [head] = /^[\s\S]*?(?=\s*\{\n|;\n)/.exec(source.slice(start))!;
  return head
    .replace(/^export (?:async )?/, "")
    .replaceAll(/\s+/g, " ")
    .replaceAll("( ", "(")
    .replaceAll(", )", ")");
}

interface Comment {
  readonly text: string;
  /** Parameters, errors and results, one a line. */
  readonly tags: readonly string[];
  /** Examples as fenced blocks. */
  readonly examples: readonly string[];
}

function readComment(comment: string): Comment {
  const lines = comment
    .replace(/^\/\*\*|\*\/\s*$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
  const [text = "", ...tagged] = lines.join("\n").split(/(?:^|\s)@(?=(?:param|returns|throws|example|see)\b)/);
  const tags: string[] = [];
  const examples: string[] = [];
  for (const tag of tagged) {
    const [, word, rest] = /^(\w+)\s*([\s\S]*)$/.exec(tag)!;
    if (word === "example") examples.push(rest!.includes("```") ? rest!.trim() : `\`\`\`ts\n${rest!.trim()}\n\`\`\``);
    else tags.push(`${word}: ${oneLine(rest!)}`);
  }
  return { text: oneLine(text), tags, examples: examples.map((example) => example.replace("```ts", "```typescript")) };
}

/** Markdown of a comment's text in one line: a type in braces at the start of a tag as code, and no HTML. */
function oneLine(text: string): string {
  const line = text
    .replaceAll(/\s+/g, " ")
    .trim()
    .replaceAll(/\{@link ([^}]*)\}/g, "`$1`");
  const typed = /^\{((?:[^{}]|\{[^{}]*\})*)\} ?(.*)$/.exec(line);
  const rest = (typed?.[2] ?? line)
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "&lt;")))
    .join("");
  return typed === null ? rest : `\`${typed[1]}\` ${rest}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, apiPage());

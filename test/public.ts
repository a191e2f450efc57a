/**
 * What the package offers: the source behind each entry of package.json's exports, and where each name that an entry
 * exports is declared. Not a parser: it knows the forms that Prettier leaves.
 */
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "./imports.ts";

/** A declaration that users can import. */
export interface Declaration {
  /** `file:name`. */
  readonly at: string;
  readonly kind: "function" | "class" | "const" | "interface" | "type";
  /** The doc comment right before it; empty where there is none. */
  readonly comment: string;
}

/** Sources of the package's entries, by what users write: `fathom-edge/engine` and so on. */
export function entries(): Map<string, string> {
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    name: string;
    exports: Record<string, string | { readonly types?: string }>;
  };
  const typed = Object.entries(exports).flatMap(([entry, target]) => {
    const types = typeof target === "string" ? undefined : target.types;
    const source = /^\.\/dist\/(.*)\.d\.ts$/.exec(types ?? "")?.[1];
    return source === undefined ? [] : [[`${name}${entry.slice(1)}`, `${source}.ts`] as const];
  });
  return new Map(typed);
}

const textOf = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const target = (file: string, specifier: string): string => normalize(join(dirname(file), specifier));

/** The names of a clause in braces: `a, type B as C`. */
function namesOf(clause: string): { readonly name: string; readonly as: string }[] {
  const parts = clause.split(",").map((part) => part.trim().replace(/^type /, ""));
  return parts.filter(Boolean).map((part) => {
    const [name, as = name] = part.split(" as ") as [string, string?];
    return { name, as };
  });
}

const DECLARED =
  /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export (?:declare )?(?:abstract )?(?:async )?(function\*?|class|const|interface|type) (\w+)/g;
const LISTED = /^export (?:type )?\{([^}]*)\}(?: from "([^"]+)")?;/gm;
const ALL = /^export \* from "([^"]+)";/gm;
const IMPORTED = /^import (?:type )?\{([^}]*)\} from "(\.[^"]+)";/gm;

/** Declarations behind the names that a file exports, its own and those that it hands on. */
export function exportsOf(file: string): Map<string, Declaration> {
  const text = textOf(file);
  const found = new Map<string, Declaration>();
  for (const [, comment = "", word, name] of text.matchAll(DECLARED))
    found.set(name!, { at: `${file}:${name}`, kind: word!.replace("*", "") as Declaration["kind"], comment });
  for (const [, from] of text.matchAll(ALL)) for (const [name, declaration] of exportsOf(target(file, from!))) found.set(name, declaration);
  for (const [, clause, from] of text.matchAll(LISTED))
    for (const { name, as } of namesOf(clause!)) {
      const source = from ?? importedFrom(text, name);
      const declaration = source?.startsWith(".") ? exportsOf(target(file, source)).get(name) : undefined;
      if (declaration !== undefined) found.set(as, declaration);
    }
  return found;
}

function importedFrom(text: string, name: string): string | undefined {
  for (const [, clause, from] of text.matchAll(IMPORTED)) if (namesOf(clause!).some(({ as }) => as === name)) return from;
  return undefined;
}

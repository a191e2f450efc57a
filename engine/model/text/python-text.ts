/**
 * Values of a chat template as Python writes them into a text: True, None, ['a', 1], {'role': 'user'}. The jinja
 * library writes true, nothing and JSON. Not here: a caller's marks (template-interpreter.ts).
 */
import { isText, type Value } from "./template-values.ts";

/** What str(value) gives; of an undefined value, which Jinja leaves out, nothing. */
export function pythonText(value: Value): string {
  if (isText(value)) return value.value;
  return value.type === "UndefinedValue" ? "" : represented(value);
}

/** What repr(value) gives. */
function represented(value: Value): string {
  switch (value.type) {
    case "StringValue":
      return quoted(value.value as string);
    case "BooleanValue":
      return value.value === true ? "True" : "False";
    case "NullValue":
      return "None";
    case "UndefinedValue":
      return "Undefined";
    case "ArrayValue":
      return `[${(value.value as Value[]).map(represented).join(", ")}]`;
    case "TupleValue": {
      const items = (value.value as Value[]).map(represented);
      return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`;
    }
    case "ObjectValue": {
      const entries = [...(value.value as Map<string, Value>)];
      return `{${entries.map(([key, item]) => `${quoted(key)}: ${represented(item)}`).join(", ")}}`;
    }
    default:
      return String(value);
  }
}

const NAMED: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text in single quotes, or in double ones where it has single ones and no double ones. */
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text.replaceAll(/[\p{C}\p{Z}\\'"]/gu, (character) => {
    if (character === " " || character === '"') return character;
    if (character === "'") return quote === "'" ? "\\'" : "'";
    return NAMED[character] ?? escaped(character.codePointAt(0)!);
  });
  return quote + inside + quote;
}

function escaped(code: number): string {
  const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(width, "0")}`;
}

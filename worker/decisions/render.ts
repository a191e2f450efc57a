/**
 * Inputs, questions and options as the texts that a model reads: one form for both APIs, frozen, as every change of it
 * changes all probabilities. Texts are themselves; objects and lists are compact JSON; messages and tool calls are lines.
 * Ids, names and the order of options are never in it.
 */
import { UNSAID } from "../../engine/decide/question.ts";

/** A message or a tool's call or output, its content already text. */
export type InputLine =
  | { readonly kind: "message"; readonly role: string; readonly text: string }
  | { readonly kind: "call"; readonly name: string; readonly text: string }
  | { readonly kind: "output"; readonly name: string; readonly text: string };

/** @example linesText([{ kind: "message", role: "user", text: "Hi" }]) // "user: Hi" */
export function linesText(lines: readonly InputLine[]): string {
  return lines.map((line) => `${headOf(line)}: ${line.text}`).join("\n");
}

function headOf(line: InputLine): string {
  if (line.kind === "message") return line.role;
  return line.kind === "call" ? `call ${line.name}` : `output ${line.name}`;
}

/** Parts of one content. */
export function joinParts(parts: readonly string[]): string {
  return parts.join("\n");
}

/** @param description what stands beside the name; undefined or empty: the name speaks for itself */
export function optionText(name: string, description: string | undefined): string {
  return description === undefined || description === "" ? name : `${name}: ${description}`;
}

/** A predicate's instructions with what yes and no stand for; criteria alone stand behind the question that is meant. */
export function withCriteria(instructions: string, yes: string | undefined, no: string | undefined): string {
  const criteria = [yes && `Yes: ${yes}`, no && `No: ${no}`].filter((line) => line !== undefined && line !== "");
  if (criteria.length === 0) return instructions;
  return [instructions.trim() === "" ? UNSAID.predicate : instructions, ...criteria].join("\n");
}

/** A level that is not described is its number. */
export function levelText(index: number, description: string): string {
  return description.trim() === "" ? `${index}` : description;
}

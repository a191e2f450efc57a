/**
 * The prompt of `fathom ask` and `fathom trace`: the argument, or standard input.
 */
import { text as readAll } from "node:stream/consumers";
import { FathomError } from "../engine/errors.ts";

export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  say(line: string): void;
}

const PROCESS: Terminal = { stdin: process.stdin, say: console.error };

/**
 * @param argument the prompt; standard input is read where it is missing or "-"
 * @throws {FathomError} empty_prompt
 */
export async function readPrompt(argument: string | undefined, terminal: Terminal = PROCESS): Promise<string> {
  const isRead = argument === undefined || argument === "-";
  if (isRead && terminal.stdin.isTTY === true) terminal.say("Waiting for the prompt: type it, then Enter and Ctrl-D.");
  const prompt = isRead ? await readAll(terminal.stdin) : argument;
  if (prompt.trim() === "")
    throw new FathomError("empty_prompt", `The prompt ${isRead ? "on standard input " : ""}is empty; give a question.`, "prompt");
  return prompt;
}

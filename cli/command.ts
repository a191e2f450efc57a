/**
 * What a `fathom` command is: citty's declaration, the one source of parsing, help and types, with examples for its help
 * page. Arguments are read against it by parse.ts; citty's own parser, which lets unknown options pass, is not used.
 */
import type { ArgsDef, CommandDef } from "citty";

export type Command<T extends ArgsDef = any> = CommandDef<T> & {
  /** Whole command lines; a command that only holds others needs none. */
  readonly examples?: readonly [string, ...string[]];
};

/**
 * Declares a command and gives its `run` the types of its arguments.
 * @example
 * export const helloCommand = defineCommand({
 *   meta: { name: "hello", description: "Greet somebody" },
 *   examples: ["fathom hello --name Ada"],
 *   args: { name: { type: "string", default: "world", description: "whom to greet" } },
 *   run: ({ args }) => console.log(`Hello ${args.name}`),
 * });
 */
export function defineCommand<const T extends ArgsDef>(command: Command<T>): Command<T> {
  return command;
}

/**
 * Errors as a user of the command line meets them: one sentence and an exit status, never a stack.
 */
import { FathomError, type FathomErrorCode } from "../engine/errors.ts";

const FAILED = 1;
const CALLED_WRONGLY = 2;

/** What the caller can mend by calling otherwise. */
const WRONG_CALLS: readonly FathomErrorCode[] = ["invalid_request", "empty_prompt", "context_overflow", "token_out_of_range"];

export function exitStatus(error: unknown): number {
  return error instanceof FathomError && WRONG_CALLS.includes(error.code) ? CALLED_WRONGLY : FAILED;
}

/** @param name what was typed, "fathom ask" say */
export function explain(name: string, error: unknown): string {
  if (error instanceof FathomError)
    return `${name}: ${error.message}${error.code === "out_of_memory" ? " --memory raises the limit, up to 4GiB." : ""}`;
  const { message, code, path } = error as { message?: string; code?: string; path?: string };
  const known = code === undefined ? undefined : SYSTEM_ERRORS[code];
  if (known !== undefined) return `${name}: ${known}${path === undefined ? "" : `: ${path}`}.`;
  if (process.env["FATHOM_DEBUG"]) return `${name}: ${(error as Error).stack ?? String(error)}`;
  return `${name}: unexpected error: ${message ?? String(error)} (FATHOM_DEBUG=1 shows where)`;
}

/** What the operating system says most often, in words. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "no permission",
  EPERM: "not permitted",
  EEXIST: "exists already",
  EISDIR: "is a folder, a file was expected",
  ENOTDIR: "is no folder",
  ENOSPC: "no space left on the disk",
  EROFS: "the disk is read-only",
  EMFILE: "too many open files",
};

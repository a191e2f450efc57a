/**
 * The token loop of backends that make tokens by themselves (chunks.ts), where one has brought it: hosts without such a
 * backend, as Workers are, do not carry it.
 */
import type { Row } from "../port/backend.ts";
import type { Completion, GeneratedToken, UnfinishedToken } from "./completion.ts";

/**
 * Goes on behind the prompt's token.
 * @param rows the prompt's, in flight; the loop's afterwards
 * @returns undefined where tokens must come one by one, or where there are no more; then `rows` are the caller's
 */
export type ChunkLoop = (
  completion: Completion,
  first: UnfinishedToken,
  rows: readonly Row[],
) => AsyncGenerator<GeneratedToken, void, undefined> | undefined;

let brought: ChunkLoop | undefined;

/** Makes a loop that of all backends which make tokens. */
export function bringChunkLoop(loop: ChunkLoop): void {
  brought = loop;
}

/** The loop for a completion, if its backend makes tokens. */
export const goOnInChunks: ChunkLoop = (completion, first, rows) =>
  completion.backend.openChain === undefined ? undefined : brought?.(completion, first, rows);

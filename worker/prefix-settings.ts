/**
 * What a deployment says of the beginnings of prompts that are kept between requests (engine/schedule/prefix-cache.ts).
 */
import * as v from "valibot";
import type { PrefixTerms } from "../engine/schedule/prefix-cache.ts";
import { named, wholeNumber } from "../engine/options.ts";

export interface PrefixCacheSettings {
  /** Most bytes of kept sequences, of each model; 0: nothing is kept. [default 16 MiB] */
  readonly maxBytes: number;
  /** Fewest tokens that a prompt takes over. [default 64, the rows of one core call: less saves no call] */
  readonly minTokens: number;
  /** Whether callers with different bearer keys share nothing, so that nobody learns by time what others have asked. [default false] */
  readonly byKey: boolean;
}

/** A sixth of what the core may take on Workers: some hundred prompts of 32 tokens on the shipped model. */
export const DEFAULT_PREFIX_CACHE: PrefixCacheSettings = { maxBytes: 16 * 1048576, minTokens: 64, byKey: false };

/** What a request may share with others, by its deployment and its own word. @param what of prompts, or of inputs */
export function sharing(
  { prefixCache, key }: { readonly prefixCache?: PrefixCacheSettings; readonly key?: string | undefined },
  cacheKey: string | undefined,
  what?: string,
): Pick<PrefixTerms, "scope" | "limitBytes" | "minTokens"> {
  const { maxBytes = 0, minTokens = 1, byKey = false } = prefixCache ?? {};
  return { scope: JSON.stringify([what, byKey ? key : undefined, cacheKey]), limitBytes: maxBytes, minTokens };
}

export const prefixCacheOption = named({
  maxBytes: v.exactOptional(wholeNumber(0)),
  minTokens: v.exactOptional(wholeNumber(1)),
  byKey: v.exactOptional(v.boolean("true or false")),
});

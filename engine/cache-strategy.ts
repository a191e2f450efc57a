/**
 * KV cache strategies (paper section 6.2, the reference's HuginnDynamicCache): which cache entry a row reads when a
 * position did not run as many iterations as the row that looks at it. Pure: it maps iterations to iterations.
 *
 * The reference numbers slots: prelude 0..P-1, core P + t*C + i, coda negative, and writes 2 and 4 for P and C.
 * Here the residue is (slot - P) mod C and the lower bound P, which is the same for Huginn's 2/4/2 and right elsewhere.
 */
import { FathomError } from "./errors.ts";

/** What to read at a position that lacks the wanted iteration. */
export type CacheLookup = "full" | "latest" | "available" | "always-last" | "skip" | "randomized" | "strict";

/** How iterations share slots: `none`, every `window` slots cyclically (sN), in runs of N (rN), or anchored. */
export type CacheSharing =
  | { readonly kind: "none" }
  | { readonly kind: "cyclic"; readonly slots: number }
  | { readonly kind: "runs"; readonly slots: number }
  | { readonly kind: "anchor" };

/** Where a position's keys and values lie by iteration, and which are read where one is missing. */
export interface CacheStrategy {
  /** The reference's string, e.g. `full`, `latest-m4-compress-s4`. */
  readonly name: string;
  readonly lookup: CacheLookup;
  readonly sharing: CacheSharing;
}

const LOOKUPS: readonly CacheLookup[] = ["latest", "available", "always-last", "skip", "randomized"];

/**
 * Reads a strategy string of the reference: `full`, `skip`, `latest-m4`, `available-m4`, `always-last-m4`,
 * `randomized`, `compress-sN`, `compress-rN`, `compress-anchor`, and a lookup joined with a compression.
 * @throws {FathomError} invalid_request
 * @example
 * const cache = parseCacheStrategy("latest-m4-compress-s4");
 */
export function parseCacheStrategy(name: string): CacheStrategy {
  const bad = (): FathomError =>
    new FathomError(
      "invalid_request",
      `Unknown cache strategy ${JSON.stringify(name)}. Use full, skip, latest-m4, available-m4, always-last-m4, ` +
        "randomized, compress-sN, compress-rN, compress-anchor, or a lookup joined with a compression, " +
        "such as latest-m4-compress-s4.",
      "cache",
    );
  if (name === "full") return { name, lookup: "full", sharing: { kind: "none" } };
  const at = name.indexOf("compress-");
  const lookupPart = at < 0 ? name : name.slice(0, at).replace(/-$/, "");
  const lookup: CacheLookup | undefined =
    lookupPart === "" ? "strict" : LOOKUPS.find((l) => lookupPart === l || lookupPart.replace(/-m\d+$/, "") === l);
  if (lookup === undefined || name === "") throw bad();
  return { name, lookup, sharing: at < 0 ? { kind: "none" } : parseSharing(name.slice(at + "compress-".length), bad) };
}

function parseSharing(text: string, bad: () => FathomError): CacheSharing {
  if (text === "anchor") return { kind: "anchor" };
  const match = /^([sr])([1-9]\d{0,4})$/.exec(text);
  if (match === null) throw bad();
  return { kind: match[1] === "s" ? "cyclic" : "runs", slots: Number(match[2]) };
}

/**
 * Core slots count from 0 here: step k = t * coreLayers + layer of a position's computation writes slot
 * `coreSlot(sharing, k)`. The slots that a position has written are always 0 .. writtenSlots(sharing, steps) - 1.
 */
export function coreSlot(sharing: CacheSharing, step: number): number {
  switch (sharing.kind) {
    case "none":
      return step;
    case "cyclic":
      return step % sharing.slots;
    case "runs":
      return Math.floor(step / sharing.slots);
    case "anchor":
      return step < ANCHORED ? step : ANCHORED + ((step - ANCHORED) % ANCHOR_WINDOW);
  }
}

/**
 * Whether a window of slots that is used in turn holds keys of one core layer where another looks for its own: the
 * reference's numbers are made for its four layers. Runs put several layers into one slot by intent.
 */
export function mixesLayers(sharing: CacheSharing, coreLayers: number): boolean {
  if (sharing.kind === "cyclic") return sharing.slots % coreLayers !== 0;
  return sharing.kind === "anchor" && ANCHOR_WINDOW % coreLayers !== 0;
}

/** The reference keeps the first 32 core slots of compress-anchor apart and shares the later ones four by four. */
const ANCHORED = 32;
const ANCHOR_WINDOW = 4;

/** Distinct slots written after `steps` block steps of a position. */
export function writtenSlots(sharing: CacheSharing, steps: number): number {
  switch (sharing.kind) {
    case "none":
      return steps;
    case "cyclic":
      return Math.min(steps, sharing.slots);
    case "runs":
      return Math.ceil(steps / sharing.slots);
    case "anchor":
      return Math.min(steps, ANCHORED + ANCHOR_WINDOW);
  }
}

/** A position that a row does not see. */
export const ABSENT = -1;

/**
 * Which core slot to read at each position of 0 .. written.length - 1, for a row that has just written `slot`.
 * @param written slots written so far by each position (the row's own is past `slot`)
 * @param out     one slot a position, or ABSENT
 * @param pick    uniform whole number below its argument, for a position; used by `randomized` alone
 * @throws {FathomError} missing_cache for a strategy without lookup when a position never wrote the slot
 */
export function resolveSlots(
  strategy: CacheStrategy,
  coreLayers: number,
  slot: number,
  written: ArrayLike<number>,
  out: Int32Array,
  pick: (below: number, position: number) => number,
): void {
  let complete = true;
  for (let p = 0; p < written.length; p++) complete &&= slot < written[p]!;
  for (let p = 0; p < written.length; p++) {
    const present = slot < written[p]!;
    out[p] =
      complete || (present && strategy.lookup !== "always-last" && strategy.lookup !== "randomized")
        ? slot
        : lookUp(strategy, coreLayers, slot, written[p]!, p, pick);
  }
}

/** Largest slot below `below` in slot's residue class, or ABSENT. */
function largestBelow(slot: number, below: number, coreLayers: number): number {
  const residue = slot % coreLayers;
  if (below <= residue) return ABSENT;
  return below - 1 - ((below - 1 - residue) % coreLayers);
}

function lookUp(
  strategy: CacheStrategy,
  coreLayers: number,
  slot: number,
  written: number,
  position: number,
  pick: (below: number, position: number) => number,
): number {
  switch (strategy.lookup) {
    case "full":
    case "skip":
      return ABSENT;
    case "latest":
    case "available":
      return largestBelow(slot, Math.min(written, slot + 1), coreLayers);
    case "always-last":
      return largestBelow(slot, written, coreLayers);
    case "randomized": {
      const largest = largestBelow(slot, Math.min(written, slot + 1), coreLayers);
      if (largest === ABSENT) return ABSENT;
      return largest - coreLayers * pick(Math.floor(largest / coreLayers) + 1, position);
    }
    case "strict":
      throw new FathomError(
        "missing_cache",
        `Cache strategy ${strategy.name} found nothing for position ${position}: it stopped before it wrote slot ${slot}. ` +
          `Join it with a lookup, such as latest-m4-${strategy.name}.`,
        "cache",
      );
  }
}

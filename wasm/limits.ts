/**
 * How much memory the Wasm core may take where nobody says: what an isolate has room for on Workers, what the machine has
 * elsewhere. Not here: keeping to it (arena.ts).
 */

const MIB = 1048576;

/** The core's share of an isolate's 128 MiB; the rest is for code, requests and whatever else the Worker does. */
export const ISOLATE_LIMIT_BYTES = 96 * MIB;

/** What 32-bit addresses reach, less the last page, so that every address has one behind it. */
export const WASM_LIMIT_BYTES = 65_535 * 65_536;

interface HostGlobals {
  readonly navigator?: { readonly userAgent?: string; readonly deviceMemory?: number };
  readonly process?: { readonly availableMemory?: () => number };
}

/**
 * Most bytes that Wasm memory may take on a host: 96 MiB on Workers; elsewhere up to Wasm's own 4 GiB, as far as the
 * machine has them free (Node, Deno) or says how much it has (half of it, in a page).
 * @param host [default this one]
 */
export function hostLimitBytes(host: HostGlobals = globalThis as HostGlobals): number {
  if (host.navigator?.userAgent === "Cloudflare-Workers") return ISOLATE_LIMIT_BYTES;
  const available = host.process?.availableMemory?.();
  const gibibytes = host.navigator?.deviceMemory;
  const has = available ?? (gibibytes === undefined ? Infinity : gibibytes * 512 * MIB);
  return Math.min(WASM_LIMIT_BYTES, Math.max(ISOLATE_LIMIT_BYTES, has));
}

/**
 * Which names a server answers to. A page of another site can make a browser believe that its own name means this
 * machine (DNS rebinding); its requests then bear that name as Host. Deployed Workers need none of this: Cloudflare
 * sends them the hosts of their routes alone.
 */
import type { MiddlewareHandler } from "hono";
import * as v from "valibot";
import { ApiError } from "./errors.ts";

/** The machine itself, by any of its names. */
export const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"] as const;

const EXPECTED = 'a list of host names such as "localhost" or "fathom.example", without scheme, port or path';
const HOST_NAME = /^(?:[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])$/i;

export const allowedHosts = v.pipe(
  v.array(v.pipe(v.string(EXPECTED), v.regex(HOST_NAME, EXPECTED)), EXPECTED),
  v.minLength(1, EXPECTED),
  v.transform((hosts) => hosts.map((host) => host.toLowerCase())),
);

/**
 * Refuses requests to other hosts, and from pages of other hosts unless CORS lets those in.
 * @param hosts names in lower case; "localhost" stands for names that end with .localhost, too
 */
export function hostCheck(hosts: readonly string[], { hasCors }: { readonly hasCors: boolean }): MiddlewareHandler {
  const isAllowed = (name: string): boolean => hosts.includes(name) || (name.endsWith(".localhost") && hosts.includes("localhost"));
  return async (c, next) => {
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    if (!isAllowed(nameOf(`http://${host}`)))
      throw new ApiError(403, "host_not_allowed", `This server does not answer to that host name; it answers to ${hosts.join(", ")}.`);
    const origin = c.req.header("origin");
    if (origin !== undefined && !hasCors && !isAllowed(nameOf(origin)))
      throw new ApiError(403, "origin_not_allowed", "Pages of other origins may not call this server.");
    return next();
  };
}

/** The host's name, less its port; empty where there is none. */
function nameOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    return "";
  }
}

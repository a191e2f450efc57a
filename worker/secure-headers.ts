/**
 * Headers by which browsers treat answers with care: those that hono/secure-headers sets of itself, less
 * Strict-Transport-Security, as whether a host has TLS is its owner's to say. That middleware's policies, of which none is set
 * here, would be 1 kB of the Worker's gzip; test/worker/doors.test.ts holds this list to its own.
 */
import type { MiddlewareHandler } from "hono";

const HEADERS = {
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Origin-Agent-Cluster": "?1",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-DNS-Prefetch-Control": "off",
  "X-Download-Options": "noopen",
  "X-Frame-Options": "SAMEORIGIN",
  "X-Permitted-Cross-Domain-Policies": "none",
  "X-XSS-Protection": "0",
};

/** Sets them on every answer, whoever has made it. */
export function secureHeaders(): MiddlewareHandler {
  return async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
  };
}

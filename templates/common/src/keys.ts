/**
 * The keys that callers must send as `Authorization: Bearer KEY`.
 */
import { env } from "cloudflare:workers";

/** @throws {Error} where there are none: nobody deploys an open model by mistake */
export function apiKeys(): string[] {
  const keys = (env.API_KEYS ?? "").split(",").map((key) => key.trim());
  if (keys.includes("")) throw new Error('API_KEYS is missing or has an empty key; set the secret, such as "key-1, key-2".');
  return keys;
}

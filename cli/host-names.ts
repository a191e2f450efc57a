/**
 * The names that a server on this machine answers to: its own, and those that the user adds. Any other name in a request
 * means that a page of another site has led a browser here.
 */
import { hostname, networkInterfaces } from "node:os";
import { FathomError } from "../engine/errors.ts";
import { LOOPBACK } from "../worker/allowed-hosts.ts";
import { list } from "./arguments.ts";

export const ALLOW_HOSTS = {
  type: "string",
  description: "host names to answer to besides this machine's own, comma-separated",
} as const;

/** Addresses that stand for all of a machine's. */
const EVERY_ADDRESS = ["0.0.0.0", "::", "[::]"];

/**
 * @param address where the server listens
 * @param allow what the user gave as --allow-hosts
 * @throws {FathomError} invalid_request where one is no host name
 */
export function hostNames(address: string, allow: string | undefined): string[] {
  const own = EVERY_ADDRESS.includes(address) ? [hostname(), ...ownAddresses()] : [address];
  const added = allow === undefined ? [] : list("--allow-hosts", allow).map(checkName);
  return [...new Set([...LOOPBACK, ...own.flatMap((name) => nameInUrl(name) ?? []), ...added])];
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
}

function checkName(name: string): string {
  const found = nameInUrl(name);
  if (found !== undefined) return found;
  throw new FathomError(
    "invalid_request",
    `--allow-hosts has ${JSON.stringify(name)}; use host names such as fathom.lan, without scheme, port or path.`,
    "--allow-hosts",
  );
}

/** A name as URLs write it, in lower case and with an IPv6 address in brackets; undefined where it is none. */
function nameInUrl(name: string): string | undefined {
  const host = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
  if (!URL.canParse(`http://${host}`)) return undefined;
  const url = new URL(`http://${host}`);
  return url.host === url.hostname && url.href === `http://${url.hostname}/` && !/[*@:/?#]/.test(host.replace(/^\[.*\]$/, ""))
    ? url.hostname
    : undefined;
}

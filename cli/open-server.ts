/**
 * Who may reach a server without keys: whoever is at this machine. On any other address everybody in its reach could call
 * and spend, so that is refused unless it is said to be meant. Not here: which names a server answers to (host-names.ts).
 */
import { lookup } from "node:dns/promises";
import { BlockList } from "node:net";
import { FathomError } from "../engine/errors.ts";

export const OPEN = {
  type: "boolean",
  default: false,
  description: "let everyone who reaches --host call without a key, where that is more than this machine",
} as const;

const THIS_MACHINE = new BlockList();
THIS_MACHINE.addSubnet("127.0.0.0", 8, "ipv4");
THIS_MACHINE.addAddress("::1", "ipv6");

/**
 * @param address where the server listens: an address, or a name that is looked up
 * @param ways how to let callers in there, for the message
 * @throws {FathomError} invalid_request where more than this machine would reach a server without keys
 */
export async function refuseOpen(address: string, ways: string): Promise<void> {
  if (await isThisMachine(address)) return;
  throw new FathomError(
    "invalid_request",
    `On ${address} everyone who reaches this machine could call without a key, and spend its time; ${ways}.`,
    "--host",
  );
}

/** Whether every address of a name is the machine's own, that no other can reach. A name that has none is judged by whoever listens. */
async function isThisMachine(address: string): Promise<boolean> {
  const found = await lookup(address.replace(/^\[(.*)\]$/, "$1"), { all: true }).catch(() => []);
  return found.every((each) => THIS_MACHINE.check(each.address, each.family === 6 ? "ipv6" : "ipv4"));
}

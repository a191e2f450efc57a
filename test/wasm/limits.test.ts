/**
 * How much memory the core may take where nobody says, and that it works beyond the first 2 GiB of addresses.
 */
import { describe, expect, it } from "vitest";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { generate } from "../../engine/decode/generate.ts";
import { parseExitRule } from "../../engine/exit-rule.ts";
import { hostLimitBytes, ISOLATE_LIMIT_BYTES, WASM_LIMIT_BYTES } from "../../wasm/limits.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { randomWeights, SMALL } from "./models.ts";

const GIB = 2 ** 30;

describe("the memory limit of a host", () => {
  it("is 96 MiB on Workers, whatever else it has", () => {
    const process = { availableMemory: () => 64 * GIB };
    expect(hostLimitBytes({ navigator: { userAgent: "Cloudflare-Workers" }, process })).toBe(96 * 2 ** 20);
  });

  it("is what the machine has elsewhere, between an isolate's and Wasm's", () => {
    const node = (bytes: number): number => hostLimitBytes({ process: { availableMemory: () => bytes } });
    expect(node(64 * GIB)).toBe(WASM_LIMIT_BYTES);
    expect(node(1.5 * GIB)).toBe(1.5 * GIB);
    expect(node(1)).toBe(ISOLATE_LIMIT_BYTES);
    expect(hostLimitBytes({ navigator: { userAgent: "Mozilla/5.0", deviceMemory: 4 } })).toBe(2 * GIB);
    expect(hostLimitBytes({ navigator: { userAgent: "Mozilla/5.0" } })).toBe(WASM_LIMIT_BYTES);
    expect(hostLimitBytes({})).toBe(WASM_LIMIT_BYTES);
  });

  it("is this machine's on Node, and an option's where there is one", async () => {
    const machine = (await createNodeWasmBackend(SMALL, randomWeights(SMALL), { warm: false })).memory().limitBytes;
    expect(machine).toBeGreaterThan(hostLimitBytes() / 2); // the machine's free memory comes and goes
    const own = await createNodeWasmBackend(SMALL, randomWeights(SMALL), { warm: false, limitBytes: 4 * 2 ** 20 });
    expect(own.memory().limitBytes).toBe(4 * 2 ** 20);
  });
});

it.each(["f32", "int8"] as const)("a sequence beyond the first 2 GiB gives the same tokens, with a cache in %s", async (kv) => {
  const backend = await createNodeWasmBackend(SMALL, randomWeights(SMALL, "q4"), { kv, limitBytes: 3 * GIB, warm: false });
  const tokens = async (): Promise<number[]> => {
    const found: number[] = [];
    const cache = parseCacheStrategy("latest-m2-compress-s2");
    const options = { prompt: [5, 1, 60, 2, 17], maxTokens: 6, iterations: 6, exit: parseExitRule("rest-wake:0.2:0.3"), cache };
    for await (const { token } of generate(backend, { ...options, stopTokens: new Set() })) found.push(token);
    return found;
  };
  const below = await tokens();
  backend.arena.allocate("scratch", 2.1 * GIB, "the first 2 GiB"); // addresses, never touched
  expect(await tokens()).toEqual(below);
});

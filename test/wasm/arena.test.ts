/**
 * The memory ledger: refusal before anything is taken, and sequences that come and go forever.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FathomError } from "../../engine/errors.ts";
import { Arena, type Region } from "../../wasm/arena.ts";

const MIB = 1048576;

describe("the arena", () => {
  it("accounts for every byte by owner", () => {
    const arena = new Arena(MIB);
    const cache = arena.allocate("kv cache", 1000, "a");
    arena.allocate("weights", 64, "b");
    expect(cache.bytes).toBe(1024);
    expect(arena.ledger()).toEqual({ usedBytes: 1088, peakBytes: 1088, limitBytes: MIB, owners: { "kv cache": 1024, weights: 64 } });
    arena.free(cache);
    arena.free(cache);
    expect(arena.ledger()).toEqual({ usedBytes: 64, peakBytes: 1088, limitBytes: MIB, owners: { weights: 64 } });
  });

  it("refuses what does not fit, before memory grows", () => {
    const arena = new Arena(MIB);
    const before = arena.memory.buffer.byteLength;
    const ledger = arena.ledger();
    expect(() => arena.allocate("kv cache", MIB + 1, "a long sequence")).toThrow(
      expect.objectContaining({
        code: "out_of_memory",
        message: expect.stringContaining("No room for a long sequence: it needs 1.00 MiB"),
      }),
    );
    expect(arena.memory.buffer.byteLength).toBe(before);
    expect(arena.ledger()).toEqual(ledger);
    expect(() => new Arena(1000)).toThrow(FathomError);
  });

  it("renews its views when memory grows", () => {
    const arena = new Arena(2 * MIB);
    const region = arena.allocate("weights", 65536 - 64, "a");
    arena.floats[region.address / 4] = 7;
    arena.allocate("weights", MIB, "b");
    expect(arena.floats[region.address / 4]).toBe(7);
    expect(arena.bytes.length).toBe(arena.memory.buffer.byteLength);
  });

  it("never leaks, overlaps or passes its limit, whatever comes and goes", () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: 200_000 }), freeIndex: fc.nat(), isFree: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const arena = new Arena(MIB);
        const live: Region[] = [];
        for (const { bytes, freeIndex, isFree } of steps) {
          if (isFree && live.length > 0) arena.free(live.splice(freeIndex % live.length, 1)[0]!);
          else
            try {
              live.push(arena.allocate("rows", bytes, "rows"));
            } catch (error) {
              expect((error as FathomError).code).toBe("out_of_memory");
            }
          const sorted = [...live].sort((a, b) => a.address - b.address);
          sorted.forEach((r, i) => expect(r.address + r.bytes).toBeLessThanOrEqual(sorted[i + 1]?.address ?? MIB));
          expect(arena.ledger().usedBytes).toBe(live.reduce((sum, r) => sum + r.bytes, 0));
          expect(arena.memory.buffer.byteLength).toBeLessThanOrEqual(MIB);
        }
        for (const region of live) arena.free(region);
        expect(arena.allocate("rows", MIB, "everything").address).toBe(0); // one piece again
      }),
      { numRuns: 50 },
    );
  });
});

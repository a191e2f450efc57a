/**
 * The memory ledger: refusal before anything is taken, and sequences that come and go forever.
 */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { FathomError, TooLargeError } from "../../engine/errors.ts";
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

  it("says what would help: waiting, asking for less, or a smaller model", () => {
    const arena = new Arena(2 * MIB);
    arena.allocate("weights", MIB, "the weights");
    const [held] = arena.allocateAll([["kv cache", MIB / 2]], "a sequence");
    const refusal = (act: () => void): FathomError => {
      try {
        act();
      } catch (error) {
        return error as FathomError;
      }
      throw new Error("nothing was refused");
    };
    const later = refusal(() => arena.allocateAll([["kv cache", 0.75 * MIB]], "a sequence"));
    expect(later).toMatchObject({ code: "out_of_memory", isTransient: true });
    expect(later.message).toMatch(
      /needs 0.75 MiB, and 0.50 MiB of the memory limit of 2.00 MiB are free.*or wait until other requests end/,
    );
    const never = refusal(() => arena.allocateAll([["kv cache", MIB], ["rows", 64]], "a sequence")); // prettier-ignore
    expect(never).toBeInstanceOf(TooLargeError);
    expect(never.message).toMatch(/Beside the model there are 1.00 MiB: ask for a shorter context/);
    expect(never.message).not.toMatch(/wait/);
    const model = refusal(() => arena.allocate("weights", MIB, "the head"));
    expect(model.message).toMatch(/No room for the head.*Raise the limit, or use a model of fewer weights or a smaller quantisation/);
    arena.free(held!);
  });

  it("says that the host has no more memory where the host refuses to grow it, and changes nothing", () => {
    const arena = new Arena(8 * MIB);
    arena.allocate("weights", MIB, "the weights");
    const ledger = arena.ledger();
    vi.spyOn(arena.memory, "grow").mockImplementation(() => {
      throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
    });
    for (const act of [
      () => arena.allocate("weights", MIB, "the head"),
      () => arena.allocateAll([["rows", 64], ["kv cache", MIB]], "a sequence"), // prettier-ignore
    ])
      expect(act).toThrow(
        expect.objectContaining({
          code: "out_of_memory",
          isTransient: true,
          message: expect.stringMatching(/^The host has no more memory for (the head|a sequence): Wasm memory of 1.00 MiB was to grow/),
          cause: expect.any(RangeError),
        }),
      );
    expect({ ...arena.ledger(), owners: ledger.owners }).toEqual(ledger);
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

import { describe, expect, it } from "vitest";
import { ABSENT, coreSlot, parseCacheStrategy, resolveSlots, writtenSlots } from "../../engine/cache-strategy.ts";

/** What a row at depth `iteration`, layer `layer` reads at positions that ran `depths` iterations (4 core layers). */
function read(name: string, iteration: number, layer: number, depths: number[]): number[] {
  const strategy = parseCacheStrategy(name);
  const slot = coreSlot(strategy.sharing, iteration * 4 + layer);
  const out = new Int32Array(depths.length);
  resolveSlots(
    strategy,
    4,
    slot,
    depths.map((d) => writtenSlots(strategy.sharing, d * 4)),
    out,
    () => 0,
  );
  return [...out];
}

describe("cache strategies", () => {
  it("read the same iteration where every position ran it", () => {
    for (const name of ["full", "skip", "latest-m4", "available-m4", "always-last-m4", "randomized"])
      expect(read(name, 2, 1, [3, 4, 5])).toEqual([9, 9, 9]);
  });

  it("full and skip leave out positions that stopped earlier", () => {
    for (const name of ["full", "skip"]) expect(read(name, 4, 0, [3, 5, 9])).toEqual([ABSENT, 16, 16]);
  });

  it("latest reads the last iteration that such a position ran, at the same layer", () => {
    expect(read("latest-m4", 4, 2, [3, 5, 1])).toEqual([10, 18, 2]);
  });

  it("always-last reads the deepest of every position once one is missing", () => {
    expect(read("always-last-m4", 4, 2, [3, 6, 9])).toEqual([10, 22, 34]);
  });

  it("compress-s4 keeps one iteration for all", () => {
    expect(read("latest-m4-compress-s4", 7, 3, [1, 8, 20])).toEqual([3, 3, 3]);
  });

  it("compress-s16 shares iteration t with t + 4, and latest looks below", () => {
    expect(read("latest-m4-compress-s16", 6, 0, [2, 7])).toEqual([4, 8]);
  });

  it("a compression without lookup names what is missing", () => {
    expect(() => read("compress-s16", 3, 0, [1, 4])).toThrow(expect.objectContaining({ code: "missing_cache" }));
  });

  it("refuse unknown names", () => {
    for (const name of ["", "fastest", "compress-s0", "compress-x4", "latest-m4-compress", "compress-s-4"])
      expect(() => parseCacheStrategy(name)).toThrow(expect.objectContaining({ code: "invalid_request", param: "cache" }));
  });
});

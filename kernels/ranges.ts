/**
 * What of a product or of attention one dispatch does, where weights or the cache lie in several buffers: it binds one of
 * each. Unsplit, a product is one range and attention one.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { CacheLayout } from "./cache-layout.ts";
import type { GpuMatrix, MatrixPart } from "./matrix.ts";

/** Heads whose keys lie in one part of the cache. */
export interface HeadRange {
  readonly cachePart: number;
  /** The first head of queries, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  /** The first head of keys. */
  readonly keysFrom: number;
}

/** Outputs of a product. */
export interface ProductRange {
  readonly part: MatrixPart;
  readonly cachePart: number;
  readonly from: number;
  readonly to: number;
  /** Element of all heads' keys that the part of the cache begins with. */
  readonly firstKey: number;
}

export function headRanges({ heads, kvHeads }: ModelConfig, layout: CacheLayout): HeadRange[] {
  const shared = heads / kvHeads;
  return Array.from({ length: layout.parts }, (_, cachePart) => {
    const keysFrom = cachePart * layout.heads;
    return { cachePart, from: keysFrom * shared, to: Math.min(kvHeads, keysFrom + layout.heads) * shared, keysFrom };
  });
}

/** A product's outputs, cut where its weights are; those of queries, keys and values also where the cache is. */
export function productRanges(matrix: GpuMatrix, kind: "matmul" | "qkv", config: ModelConfig, layout: CacheLayout): ProductRange[] {
  const pieces = kind === "qkv" ? cachePieces(config, layout) : [{ cachePart: 0, from: 0, to: matrix.rows, firstKey: 0 }];
  return matrix.parts.flatMap((part) =>
    pieces
      .map((piece) => ({ ...piece, part, from: Math.max(piece.from, part.from), to: Math.min(piece.to, part.to) }))
      .filter(({ from, to }) => from < to),
  );
}

/** Outputs by the part of the cache that they go to: queries with the first keys, then the rest of the keys, then the values. */
function cachePieces({ heads, kvHeads, headDim }: ModelConfig, layout: CacheLayout): Omit<ProductRange, "part">[] {
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  if (layout.parts === 1) return [{ cachePart: 0, from: 0, to: queries + 2 * keys, firstKey: 0 }];
  return [queries, queries + keys].flatMap((base, which) =>
    Array.from({ length: layout.parts }, (_, cachePart) => {
      const firstKey = cachePart * layout.heads * headDim;
      const from = which === 0 && cachePart === 0 ? 0 : base + firstKey;
      return { cachePart, from, to: base + Math.min(keys, firstKey + layout.heads * headDim), firstKey };
    }),
  );
}

/**
 * The products of a regression in Wasm: features lie there once, weights go in and logits come out. Not here: what is
 * minimised (cli/label-training/softmax-regression.ts).
 */
import { FathomError } from "../engine/errors.ts";

/** Rows' features, and what is multiplied with them. Classes and columns are those that were asked for. */
export interface RegressionProducts {
  /** @param weights [classes, columns] @returns [rows, classes], row after row; valid until the next call */
  logits(weights: ArrayLike<number>): Float32Array;
  /** @param errors [rows, classes] @returns sums of errors times features, [classes, columns]; valid until the next call */
  gradient(errors: Float32Array): Float32Array;
}

type Kernel = (features: number, operand: number, out: number, rows: number, classes: number, columns: number) => void;

const PAGE_BYTES = 65_536;
const LANES = 4;

/** Makes products of rows. */
export type RegressionFactory = (features: readonly Float32Array[], classes: number) => RegressionProducts;

/** @param module wasm/build/regression.wasm */
export function regressionFactory(module: WebAssembly.Module): RegressionFactory {
  return (features, classes) => {
    const columns = features[0]?.length ?? 0;
    const [padded, stride] = [classes, columns].map((n) => Math.ceil(n / LANES) * LANES) as [number, number];
    const sizes = [features.length * stride, padded * stride, features.length * padded, padded * stride];
    const pages = Math.ceil((sizes.reduce((a, b) => a + b, 0) * 4) / PAGE_BYTES) + 1;
    if (pages > PAGE_BYTES)
      throw new FathomError("out_of_memory", `${features.length} rows with ${classes} labels do not fit into memory; train on fewer.`);
    const memory = new WebAssembly.Memory({ initial: pages });
    const { products, gradient } = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<string, Kernel>;
    let at = PAGE_BYTES; // below it lies what the build keeps for itself
    const [rows, weights, results, sums] = sizes.map((length) => {
      const view = new Float32Array(memory.buffer, at, length);
      at += 4 * length;
      return view;
    }) as [Float32Array, Float32Array, Float32Array, Float32Array];
    features.forEach((row, i) => rows.set(row, i * stride));
    const shape = [features.length, padded, stride] as const;
    const compact = (from: Float32Array, count: number, wide: number, wanted: number): Float32Array => {
      if (wide === wanted) return from.subarray(0, count * wanted);
      const out = new Float32Array(count * wanted);
      for (let i = 0; i < count; i++) out.set(from.subarray(i * wide, i * wide + wanted), i * wanted);
      return out;
    };
    const spread = (to: Float32Array, from: ArrayLike<number>, count: number, wide: number, given: number): void => {
      for (let i = 0; i < count; i++) for (let k = 0; k < given; k++) to[i * wide + k] = from[i * given + k]!;
    };
    return {
      logits(given) {
        spread(weights, given, classes, stride, columns);
        products!(rows.byteOffset, weights.byteOffset, results.byteOffset, ...shape);
        return compact(results, features.length, padded, classes);
      },
      gradient(errors) {
        spread(results, errors, features.length, padded, classes);
        gradient!(rows.byteOffset, results.byteOffset, sums.byteOffset, ...shape);
        return compact(sums, classes, stride, columns);
      },
    };
  };
}

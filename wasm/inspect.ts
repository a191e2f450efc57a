/**
 * Looking into a sequence's cache, for tests and tracing. Not on any path that generates.
 */
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import type { EntryLayout, WasmSequence } from "./sequence.ts";

/** Key and value of a position in a slot of the reference's number, [kvHeads * headDim] f32 each. @throws {FathomError} missing_cache */
export function readEntry(
  sequence: WasmSequence,
  number: number,
  position: number,
  config: ModelConfig,
  layout: EntryLayout,
  arena: Arena,
): { key: Float32Array; value: Float32Array } {
  const { stage, slot } = sequence.find(number, position);
  const at = sequence.entryAddress(stage, slot, position);
  const read = (address: number, scaleWords: number): Float32Array => readVector(address, scaleWords, config, layout, arena);
  return { key: read(at, 2), value: read(at + layout.valueOffset, 1) };
}

/** @param scaleWords words from one head's scale to the next */
function readVector(at: number, scaleWords: number, config: ModelConfig, layout: EntryLayout, arena: Arena): Float32Array {
  const { kvHeads, headDim } = config;
  const { floats, bytes } = arena;
  if (layout.format === "f32") return floats.slice(at / 4, at / 4 + kvHeads * headDim);
  const scales = (at + layout.scaleOffset) / 4;
  return Float32Array.from(
    { length: kvHeads * headDim },
    (_, i) => ((bytes[at + i]! << 24) >> 24) * floats[scales + Math.floor(i / headDim) * scaleWords]!,
  );
}

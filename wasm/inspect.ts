/**
 * Looking into a sequence's cache, for tests and tracing. Not on any path that generates.
 */
import { FathomError } from "../engine/errors.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { Arena } from "./arena.ts";
import type { EntryLayout, WasmSequence } from "./sequence.ts";

/** Slots that hold anything, ascending, in the reference's numbers: prelude, core, and coda from -1 downwards. */
export function writtenCacheSlots(sequence: WasmSequence, config: ModelConfig): number[] {
  const slots = new Set<number>();
  for (let p = 0; p < sequence.length; p++) for (const slot of slotsAt(sequence, p, config)) slots.add(slot);
  return [...slots].sort((a, b) => a - b);
}

/** Key and value of a position in a slot, [kvHeads * headDim] f32 each. @throws {FathomError} missing_cache */
export function readEntry(
  sequence: WasmSequence,
  slot: number,
  position: number,
  config: ModelConfig,
  layout: EntryLayout,
  arena: Arena,
): { key: Float32Array; value: Float32Array } {
  if (position >= sequence.length || !slotsAt(sequence, position, config).includes(slot))
    throw new FathomError("missing_cache", `Slot ${slot} holds nothing for position ${position}.`);
  const core = slot - config.preludeLayers;
  const at =
    slot < 0
      ? sequence.entryAddress("coda", -1 - slot, position)
      : core < 0
        ? sequence.entryAddress("prelude", slot, position)
        : sequence.entryAddress("core", core, position);
  const read = (address: number, scaleWords: number): Float32Array => readVector(address, scaleWords, config, layout, arena);
  return { key: read(at, 2), value: read(at + layout.valueOffset, 1) };
}

function slotsAt(sequence: WasmSequence, position: number, config: ModelConfig): number[] {
  const { preludeLayers, coreLayers, codaLayers } = config;
  const slots = Array.from({ length: preludeLayers }, (_, i) => i);
  for (let step = 0; step < sequence.steps[position]!; step++)
    slots.push(preludeLayers + sequence.coreSlotAt(Math.floor(step / coreLayers), step % coreLayers));
  if (sequence.codaWritten[position] === 1) for (let i = 1; i <= codaLayers; i++) slots.push(-i);
  return slots;
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

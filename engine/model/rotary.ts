/**
 * Rotary position angles, as f32 tables that every backend shares. Arithmetic order is the reference's: inverse
 * frequency in f32, times the position in f32, then cosine and sine.
 */
import type { ModelConfig } from "./config.ts";
import type { RopeScaling } from "./rope.ts";

/** cos and sin, each [positions, headDim / 2] f32. */
export function rotaryTable(config: ModelConfig, positions = config.contextLength): { cos: Float32Array; sin: Float32Array } {
  const half = config.headDim / 2;
  const write = rotaryWriter(config);
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let p = 0; p < positions; p++) write(p, cos, p * half, sin, p * half);
  return { cos, sin };
}

/** Writes one position's cosines and sines, [headDim / 2] f32 each, from an index of each array on. */
export type RotaryWriter = (position: number, cos: Float32Array, cosAt: number, sin: Float32Array, sinAt: number) => void;

/** A writer of single rows' angles, for backends that keep those of the rows in flight in place of a whole table. */
export function rotaryWriter(config: ModelConfig): RotaryWriter {
  const frequencies = inverseFrequencies(config);
  return (position, cos, cosAt, sin, sinAt) => {
    for (let j = 0; j < frequencies.length; j++) {
      const angle = Math.fround(position * frequencies[j]!);
      cos[cosAt + j] = Math.cos(angle);
      sin[sinAt + j] = Math.sin(angle);
    }
  };
}

/** base^(-2j / headDim), [headDim / 2] f32, with Llama 3's scaling where the config has it. */
function inverseFrequencies(config: ModelConfig): Float32Array {
  const { headDim, ropeBase, ropeScaling } = config;
  const out = new Float32Array(headDim / 2);
  for (let j = 0; j < out.length; j++) {
    const frequency = 1 / ropeBase ** ((2 * j) / headDim);
    out[j] = ropeScaling === undefined ? frequency : scaleFrequency(frequency, ropeScaling);
  }
  return out;
}

function scaleFrequency(frequency: number, s: RopeScaling): number {
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < s.originalContext / s.highFreqFactor) return frequency;
  if (wavelength > s.originalContext / s.lowFreqFactor) return frequency / s.factor;
  const smooth = (s.originalContext / wavelength - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
  return ((1 - smooth) * frequency) / s.factor + smooth * frequency;
}

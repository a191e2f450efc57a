/**
 * What a peer has to offer to be compared: rounds of the shape in bench/model.ts with r = 1, that is a decoder of
 * 8 layers, width 512, MLP 1408, 8 heads, vocabulary 8192, and where it can a bare matrix product.
 */
import type { DecodeRun } from "../decode-run.ts";

export interface Peer {
  readonly engine: string;
  readonly format: string;
  /** Core iterations, where the model is recurrent. [default 1] */
  readonly iterations?: number;
  /** Loads the model. */
  prepare(): Promise<PreparedPeer>;
}

export interface PreparedPeer {
  /** One greedy run: PROMPT_TOKENS in, NEW_TOKENS out. */
  round(): Promise<DecodeRun>;
  close(): Promise<void>;
}

export const LAYERS = 8;
export const WIDTH = 512;
export const MLP_WIDTH = 1408;
export const HEADS = 8;
export const HEAD_DIM = WIDTH / HEADS;
export const VOCAB_SIZE = 8192;
export const CONTEXT = 1024;

/** Random bytes, the same for the same seed. */
export function randomBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = Math.imul(seed, 2654435761) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Uniform in [-scale, scale). */
export function randomFloats(length: number, seed: number, scale: number): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(randomBytes(length * 4, seed).buffer);
  return Float32Array.from(words, (w) => (w / 2147483648 - 1) * scale);
}

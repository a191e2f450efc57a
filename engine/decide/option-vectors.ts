/**
 * Options' mapped states by their texts, kept from one decision to the next: an option is computed once. Bounded; what
 * was used longest ago goes first.
 */

/** Bytes that the vectors of a model may take: 4,096 options of 256 elements. */
const LIMIT_BYTES = 4 * 1048576;

export class OptionVectors {
  readonly limitBytes: number;
  readonly #vectors = new Map<string, Float32Array>();
  #bytes = 0;

  /** @param limitBytes [default 4 MiB] */
  constructor(limitBytes = LIMIT_BYTES) {
    this.limitBytes = limitBytes;
  }

  /** Bytes of vectors and texts. */
  get usedBytes(): number {
    return this.#bytes;
  }

  get(text: string): Float32Array | undefined {
    const vector = this.#vectors.get(text);
    if (vector === undefined) return undefined;
    this.#vectors.delete(text);
    this.#vectors.set(text, vector);
    return vector;
  }

  set(text: string, vector: Float32Array): void {
    this.#forget(text);
    this.#vectors.set(text, vector);
    this.#bytes += bytesOf(text, vector);
    for (const [oldest] of this.#vectors) {
      if (this.#bytes <= this.limitBytes) return;
      this.#forget(oldest);
    }
  }

  #forget(text: string): void {
    const vector = this.#vectors.get(text);
    if (vector === undefined) return;
    this.#vectors.delete(text);
    this.#bytes -= bytesOf(text, vector);
  }
}

function bytesOf(text: string, vector: Float32Array): number {
  return 2 * text.length + vector.byteLength;
}

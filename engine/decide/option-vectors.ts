/**
 * Options' mapped states by their texts, kept from one decision to the next: an option is computed once. Bounded, and in
 * the backend's ledger where that counts the host's memory; what was used longest ago goes first.
 */
import type { Backend } from "../port/backend.ts";
import type { Reclaimable } from "../port/reclaimable.ts";

/** Bytes that the vectors of a model may take: 4,096 options of 256 elements. */
const LIMIT_BYTES = 4 * 1048576;

export class OptionVectors implements Reclaimable {
  readonly owner = "options";
  readonly limitBytes: number;
  readonly #backend: Pick<Backend, "memory"> | undefined;
  readonly #vectors = new Map<string, Float32Array>();
  #bytes = 0;

  /**
   * @param backend whose ledger counts them, where it counts such memory; then they keep to its limit, too
   * @param limitBytes [default 4 MiB]
   */
  constructor(backend?: Pick<Backend, "memory" | "countReclaimable">, limitBytes = LIMIT_BYTES) {
    this.limitBytes = limitBytes;
    if (backend?.countReclaimable === undefined) return;
    backend.countReclaimable(this);
    this.#backend = backend;
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
    const { usedBytes = 0, limitBytes = Infinity } = this.#backend?.memory() ?? {};
    this.reclaim(Math.max(this.#bytes - this.limitBytes, usedBytes - limitBytes));
  }

  reclaim(bytes: number): void {
    const end = this.#bytes - bytes;
    for (const [oldest] of this.#vectors) {
      if (this.#bytes <= end) return;
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

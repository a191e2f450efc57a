/**
 * A model folder whose weights file is fetched once by a load, though it is read twice: for the names in its header, and for
 * the weights. The second reading takes what the first has seen and goes on where that stopped.
 */
import { WEIGHTS, type ModelFolder } from "./folder.ts";
import type { ByteSource } from "./safetensors.ts";

export interface WeightsOnce {
  readonly folder: ModelFolder;
  /** Lets go of a file that was begun and not read on. */
  close(): Promise<void>;
}

/** @param from every reading of the weights after the second opens the file anew */
export function weightsOnce(from: ModelFolder): WeightsOnce {
  let first: ResumedSource | undefined;
  let opened = 0;
  const folder: ModelFolder = {
    ...from,
    async open(file) {
      if (file !== WEIGHTS) return from.open(file);
      opened++;
      if (opened === 2 && first !== undefined) return first.resumed();
      const source = await from.open(file);
      if (opened > 1 || source === undefined) return source;
      first = new ResumedSource(source);
      return first.begun();
    },
  };
  return { folder, close: async () => first?.close() };
}

/** A source that is begun once, left, and read from its start to its end. */
class ResumedSource {
  readonly #source: ByteSource;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  /** Copies of the chunks that were given out, as their owner uses the memory again. */
  readonly #seen: Uint8Array[] = [];

  constructor(source: ByteSource) {
    this.#source = source;
  }

  begun(): ByteSource {
    return { ...this.#source, open: () => this.#begin() };
  }

  resumed(): ByteSource {
    return { ...this.#source, open: () => this.#resume() };
  }

  async close(): Promise<void> {
    const chunks = this.#chunks;
    this.#chunks = undefined;
    this.#seen.length = 0;
    await chunks?.return?.();
  }

  /** Leaves the source open when it is left. */
  async *#begin(): AsyncGenerator<Uint8Array> {
    const chunks = this.#take();
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      this.#seen.push(next.value.slice());
      yield next.value;
    }
  }

  async *#resume(): AsyncGenerator<Uint8Array> {
    const chunks = this.#take();
    try {
      for (let seen = this.#seen.shift(); seen !== undefined; seen = this.#seen.shift()) yield seen;
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
    } finally {
      await this.close();
    }
  }

  #take(): AsyncIterator<Uint8Array> {
    this.#chunks ??= this.#source.open()[Symbol.asyncIterator]();
    return this.#chunks;
  }
}

/**
 * Which tensors of a checkpoint are still to come, by their names in its files, and how those that published files hold in
 * parts (queries, keys and values, say) become the matrix that they are rows of. Not here: what is in a file (checkpoint.ts).
 */
import type { TensorWriter } from "./safetensors.ts";
import type { WeightSpec } from "./tensors.ts";

/** A tensor of a file. */
export interface Wanted {
  readonly spec: WeightSpec;
  readonly shape: readonly number[];
  /** Which of the spec's parts it is; undefined: it is the whole. */
  readonly part: number | undefined;
}

export class WantedTensors {
  readonly #byName = new Map<string, Wanted>();

  constructor(specs: readonly WeightSpec[]) {
    for (const spec of specs) {
      this.#byName.set(spec.file, { spec, shape: spec.shape, part: undefined });
      spec.parts?.forEach(({ file, rows }, part) => this.#byName.set(file, { spec, shape: [rows, ...spec.shape.slice(1)], part }));
    }
  }

  get(name: string): Wanted | undefined {
    return this.#byName.get(name);
  }

  /** Gives a tensor and wants it no more; nor its parts, where it is a whole, or the whole, where it is a part. */
  take(name: string): Wanted | undefined {
    const wanted = this.#byName.get(name);
    if (wanted === undefined) return undefined;
    this.#byName.delete(name);
    if (wanted.part !== undefined) this.#byName.delete(wanted.spec.file);
    else for (const { file } of wanted.spec.parts ?? []) this.#byName.delete(file);
    return wanted;
  }

  /** Names of those that never came; of what may come in parts, the parts. */
  get missing(): string[] {
    return [...this.#byName].filter(([, { spec, part }]) => spec.parts === undefined || part !== undefined).map(([name]) => name);
  }
}

/** Makes one row-major matrix of parts that come in any order: those that come before their turn are held. */
export class PartsJoiner {
  readonly #to: TensorWriter;
  readonly #count: number;
  /** Chunks of parts that came too early, and whether they are whole. */
  readonly #held = new Map<number, { readonly chunks: Uint8Array[]; isDone: boolean }>();
  #turn = 0;

  constructor(to: TensorWriter, count: number) {
    this.#to = to;
    this.#count = count;
  }

  writer(part: number): TensorWriter {
    const held = { chunks: [] as Uint8Array[], isDone: false };
    if (part !== this.#turn) this.#held.set(part, held);
    return {
      write: (chunk) => (part === this.#turn ? this.#to.write(chunk) : void held.chunks.push(new Uint8Array(chunk))),
      done: () => {
        held.isDone = true;
        if (part === this.#turn) this.#next();
      },
    };
  }

  #next(): void {
    for (this.#turn++; this.#turn < this.#count; this.#turn++) {
      const held = this.#held.get(this.#turn);
      if (held === undefined) return;
      for (const chunk of held.chunks) this.#to.write(chunk);
      this.#held.delete(this.#turn);
      if (!held.isDone) return;
    }
    this.#to.done();
  }
}

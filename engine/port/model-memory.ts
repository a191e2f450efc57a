/**
 * Memory that several models share, one of which can be taken out for another. Not here: which goes when (worker/pool.ts).
 */
import type { BackendFactory } from "./model.ts";

/** Memory in which models are given places, such as `workerMemory()` or `sharedWasm(...)`. */
export interface ModelMemory {
  /** Most bytes of all models and their requests together. */
  readonly limitBytes: number;
  /** Bytes that are in use. */
  readonly usedBytes: number;
  /**
   * A place for one model.
   * @param makeRoom takes another model out, for a region that finds no room; gives whether one went
   */
  place(makeRoom: (bytes: number) => boolean): ModelPlace;
}

/** A model's place in a memory. */
export interface ModelPlace {
  /** Loads one model into the place. */
  readonly createBackend: BackendFactory;
  /** Bytes of the place that are in use. */
  readonly usedBytes: number;
  /** Gives all of it back. The model in it, if anybody still has it, refuses requests as unavailable. */
  close(): void;
}

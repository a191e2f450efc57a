/**
 * The port: the contract of a backend, and what every backend shares. To write one of your own, implement `Backend`,
 * keep its sequences in an `OpenSequences`, and run test/port/ against it.
 */
export { assembleModel, type BlockParts, type ModelParts } from "./assemble.ts";
export type { Backend, BackendName, Inspectable, MemoryLedger } from "./backend.ts";
export type { Reclaimable } from "./reclaimable.ts";
export type { ChainOptions, MadeToken, TokenChain, TokenMaker } from "./chain.ts";
export { loadModel, type BackendFactory, type Model } from "./model.ts";
export type { LatentState, MaybePromise, Row, RowInput, Sequence, SequenceOptions, StateChange } from "./rows.ts";
export { OpenSequences, type Place } from "./sequences.ts";

/**
 * What makes a family of recurrent-depth models: how its blocks are put together, what goes round, what its files call
 * their tensors. Data alone: backends read it, none has code for a family. Not here: what fields config.json may have
 * (engine/model/fields/config.ts), how they are read (engine/model/config.ts).
 */
import type { CONFIG } from "../fields/config.ts";
import type { Stage } from "../stage.ts";

export type FamilyName = "huginn" | "retrofitted-llama" | "retrofitted-olmo" | "ouro";

/** Where a half of a block (attention, or MLP) may have a norm: on its input, on its output, on the sum of that and the residual. */
export type NormPlace = "input" | "output" | "sum";

/** How a block is put together. */
export interface BlockLayout {
  /** Norms of each half, in the order in which they come. */
  readonly norms: readonly NormPlace[];
  /** Norms over all features of the queries and of the keys, before their heads are split. */
  readonly qkNorm: boolean;
  /** Rotary pairs: (2j, 2j+1), or (j, j + headDim/2). */
  readonly rotary: "interleaved" | "half-split";
}

/** What an iteration takes and leaves. */
export interface Recurrence {
  /** adapter: an iteration begins with a matrix over [s | e]. none: with s alone, which then begins as e. */
  readonly injection: "adapter" | "none";
  /** What s_0 is where a caller gives none: a draw (zeros without a seed), or e, the prelude's output. */
  readonly start: "random" | "embedded";
  /** The first iteration's blocks get e in place of what the adapter makes. */
  readonly skipsAdapter: boolean;
  /** Where ln_f stands: after every iteration, before the coda, before the head. */
  readonly finalNorm: readonly ("iteration" | "coda" | "head")[];
  /** A learned gate says after every iteration how likely it is the last (exit rule `gate`). */
  readonly exitGate: boolean;
}

/** initial_state_mode of config.json. */
export type InitialStateMode = "random" | "embed-init" | "skip-adapter";

/** A tensor's name in the family's files, or the names of the tensors whose rows make it up and that of them all. */
export type TensorName = string | { readonly joined: string; readonly parts: readonly string[] };

/** What a family's files call their tensors; what a model has none of is left out. Block parts follow the block's name. */
export interface TensorNames {
  readonly embedding: string;
  readonly adapter?: string;
  readonly finalNorm: string;
  readonly head: string;
  readonly gateWeight?: string;
  readonly gateBias?: string;
  /** What the names of a block's tensors begin with, and its number stands behind. */
  readonly blocks: Readonly<Partial<Record<Stage, string>>>;
  /** Norms of the attention, then of the MLP. */
  readonly norms: readonly string[];
  readonly qkv: TensorName;
  readonly attentionOut: string;
  readonly fc: TensorName;
  readonly mlpOut: string;
}

type Field = keyof (typeof CONFIG)["read"];

export interface Family {
  readonly name: FamilyName;
  readonly block: BlockLayout;
  readonly recurrence: Recurrence;
  readonly tensors: TensorNames;
  /** Ways to begin that its code knows, the usual one first. */
  readonly starts: readonly InitialStateMode[];
  /** Fields that count its blocks; a stage without one has none. */
  readonly layers: Readonly<Partial<Record<Stage, Field>>>;
  /** The field that says how many iterations are usual, and how many where it is absent. */
  readonly iterations: readonly [field: "mean_recurrence" | "total_ut_steps", otherwise: number];
  /** Fields of other families, which would ask for something that this one does not do. */
  readonly foreign: readonly Field[];
  /** Texts that end an answer, where the tokenizer has such a token, beside what the files name. */
  readonly endTexts: readonly string[];
}

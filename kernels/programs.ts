/**
 * The model as programs: prelude, one core iteration, coda and head, each a list of dispatches (paper section 3).
 * Five dispatches a block: norms + qkv + rotary + cache, attention, projection + residual, norms + fc, gate + projection
 * + residual. A vector is normalised where it is read, from sums that its producer left.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import type { Device } from "./device.ts";
import { outputsTogether, type ScratchLayout, type StateLayout } from "./layout.ts";
import { NONE } from "./pool.ts";
import { Step } from "./program.ts";
import { STAGES, type Stage } from "./sequence.ts";
import type { Kernel } from "./shader.ts";
import type { GpuBlock, GpuMatrix, GpuModel, WeightType } from "./weights.ts";

const SOURCE = { scratch: 0, state: 1, gated: 2 } as const;

/** Kernels by file name; `many` is the variant for several rows a workgroup. */
export interface Kernels {
  /** Of a matmul workgroup. */
  readonly threads: number;
  one(name: string): Kernel;
  many(name: string): Kernel;
}

/** A vector to read: where it lies, its sums, and the norms that it passes on its way in. */
interface Input {
  readonly source: keyof typeof SOURCE;
  readonly at: number;
  readonly norms: readonly number[];
  readonly statsAt: number;
  readonly parts: number;
}

/** Which rows a program runs over: shared buffers by these names. */
export type ListName = "turn" | "core" | "heads";

export interface Programs {
  /** Embedding, prelude blocks, e and s_0. */
  readonly prelude: readonly Step[];
  /** One core iteration; the host decides what follows. */
  readonly iteration: readonly Step[];
  /** The same, and what each row attended to, by position, into `attended`. */
  readonly watchedIteration: readonly Step[];
  /** One core iteration; rows that have thought enough leave the list. */
  readonly decidingIteration: readonly Step[];
  /** Coda blocks and the head's input. */
  readonly coda: readonly Step[];
  /** Logits into `results`, [heads, vocabSize]. */
  readonly head: readonly Step[];
  /** As `head`, for every row of the turn. */
  readonly turnHead: readonly Step[];
  /** Before and after a token made on the device. */
  readonly arm: readonly Step[];
  readonly emit: readonly Step[];
  /** Changes into `results`, [rows, 4]. */
  readonly measure: readonly Step[];
}

export class ProgramBuilder {
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #model: GpuModel;
  readonly #kernels: Kernels;
  readonly #scratch: ScratchLayout;
  readonly #states: StateLayout;

  constructor(device: Device, config: ModelConfig, model: GpuModel, kernels: Kernels, scratch: ScratchLayout, states: StateLayout) {
    this.#device = device;
    this.#config = config;
    this.#model = model;
    this.#kernels = kernels;
    this.#scratch = scratch;
    this.#states = states;
  }

  build(): Programs {
    const { prelude, core, coda, adapter, head, at } = this.#model;
    const { normAfterCore } = this.#config.block;
    const s = this.#scratch;
    const state = { source: "state", at: this.#states.state, statsAt: this.#states.stats, parts: 1 } as const;
    const finalNorms = normAfterCore ? [at.finalNorm] : [];
    const embedded: Input = { source: "scratch", at: s.x, norms: [], statsAt: s.xStats, parts: 1 };
    const joined: Input = { ...state, norms: [] }; // [s | e]: e lies right behind s
    const coreInput: Input = { ...embedded, parts: s.parts };
    const afterCore: Input = { ...state, norms: finalNorms };
    const adapted = this.#matmul(adapter, "core", joined, { outAt: s.x, outStatsAt: s.xStats });
    const blocks = this.#blocks(core, "core", "core", coreInput);
    const watched = this.#blocks(core, "core", "core", coreInput, true);
    const thought = this.#output(core, coreInput);
    const advance = this.#settle("advance", "core", thought, this.#states.state);
    return {
      prelude: [
        this.#begin("turn"),
        ...this.#blocks(prelude, "prelude", "turn", embedded),
        this.#settle("settle", "turn", this.#output(prelude, embedded), this.#states.embedded),
      ],
      iteration: [adapted, ...blocks, advance],
      watchedIteration: [adapted, ...watched, advance],
      decidingIteration: [adapted, ...blocks, this.#settle("advance_decide", "core", thought, this.#states.state)],
      coda: [
        ...this.#blocks(coda, "coda", "turn", afterCore),
        this.#settle("settle", "turn", withNorm(this.#output(coda, afterCore), at.finalNorm), this.#states.headInput),
      ],
      head: [this.#head(head, "heads")],
      turnHead: [this.#head(head, "turn")],
      arm: [this.#plain("arm", { list: "turn", core: "core", rows: "rows", log: "log" })],
      emit: [this.#plain("emit", { results: "results", list: "turn", rows: "rows", log: "log" })],
      measure: [this.#plain("measure", { states: "states", results: "results", list: "core" })],
    };
  }

  /** A kernel of one workgroup a row that needs nothing but shared buffers. */
  #plain(kernel: string, shared: Readonly<Record<string, string>>): Step {
    return new Step({ one: this.#kernels.one(kernel), own: {}, shared });
  }

  /** Blocks of a stage; the first reads `input`. */
  #blocks(blocks: readonly GpuBlock[], stage: Stage, list: ListName, input: Input, isWatched = false): Step[] {
    const s = this.#scratch;
    return blocks.flatMap((block, layer) => {
      const before = layer === 0 ? input : this.#output(blocks.slice(0, layer), input);
      // the residual is the input before norm_1; it is kept in x unless it lies in scratch as it is
      const asIs = before.source === "scratch" && before.norms.length === 0;
      const residual = asIs ? before.at : s.x;
      const sandwich = this.#config.block.norms === "sandwich";
      const attended: Input = { source: "scratch", at: s.attention, norms: [], statsAt: 0, parts: 0 };
      const mid: Input = {
        source: "scratch",
        at: s.mid,
        norms: block.norms.slice(1, sandwich ? 3 : 2),
        statsAt: s.midStats,
        parts: s.parts,
      };
      const gated: Input = { source: "gated", at: s.hidden, norms: [], statsAt: 0, parts: 0 };
      return [
        this.#qkv(block, stage, layer, list, withNorm(before, block.norms[0]!), asIs ? NONE : s.x),
        ...(this.#config.block.rotary === "half-split" ? [this.#rotate(stage, layer, list)] : []),
        this.#attention("attention", stage, layer, list),
        ...(isWatched ? [this.#attention("attended", stage, layer, list)] : []),
        this.#matmul(block.attentionOut, list, attended, {
          residualAt: residual,
          outAt: s.mid,
          outStatsAt: s.midStats,
          outNorm: sandwich ? block.norms[1]! : NONE,
        }),
        this.#matmul(block.fc, list, mid, { keepAt: sandwich ? s.u : NONE, outAt: s.hidden }),
        this.#matmul(block.mlpOut, list, gated, {
          residualAt: sandwich ? s.u : s.mid,
          outAt: s.z,
          outStatsAt: s.zStats,
          outNorm: sandwich ? block.norms[3]! : NONE,
        }),
      ];
    });
  }

  /** What the last of some blocks has made, or their input where there are none. */
  #output(blocks: readonly GpuBlock[], input: Input): Input {
    const last = blocks.at(-1);
    if (last === undefined) return input;
    const { z, zStats, parts } = this.#scratch;
    return { source: "scratch", at: z, norms: this.#config.block.norms === "sandwich" ? [last.norms[3]!] : [], statsAt: zStats, parts };
  }

  #begin(list: ListName): Step {
    const { embedding, vectors } = this.#model;
    const s = this.#scratch;
    const params = this.#params([this.#config.width, embedding.group, s.stride, s.x, s.xStats], this.#config.normEps);
    return new Step({
      one: this.#kernels.one(`begin_${embedding.type}`),
      own: { params, weights: embedding.buffer, vectors },
      shared: { states: "states", scratch: "scratch", rows: "rows", list },
    });
  }

  /** The end of a stage. */
  #settle(kernel: "settle" | "advance" | "advance_decide", list: ListName, input: Input, targetAt: number): Step {
    const [normA = NONE, normB = NONE] = input.norms;
    const { stride } = this.#scratch;
    const params = this.#params(
      [SOURCE[input.source], input.at, stride, input.norms.length, normA, normB, input.statsAt, input.parts, targetAt],
      this.#config.normEps,
    );
    return new Step({
      one: this.#kernels.one(kernel),
      own: { params, vectors: this.#model.vectors },
      shared: { states: "states", scratch: "scratch", rows: "rows", log: "log", list },
    });
  }

  #rotate(stage: Stage, layer: number, list: ListName): Step {
    const { stride, query } = this.#scratch;
    return new Step({
      one: this.#kernels.one("rotate"),
      own: { params: this.#params([STAGES[stage], layer, stride, query]), vectors: this.#model.vectors },
      shared: { scratch: "scratch", cache: "cache", rows: "rows", list },
    });
  }

  #attention(kernel: "attention" | "attended", stage: Stage, layer: number, list: ListName): Step {
    const s = this.#scratch;
    return new Step({
      one: this.#kernels.one(kernel),
      own: { params: this.#params([STAGES[stage], layer, s.stride, s.query, s.attention, s.peaks]) },
      shared: { cache: "cache", steps: "steps", scratch: "scratch", rows: "rows", attended: "attended", list },
      ...(kernel === "attention" && { width: this.#config.heads }),
    });
  }

  #qkv(block: GpuBlock, stage: Stage, layer: number, list: ListName, input: Input, keepAt: number): Step {
    const place = { stage: STAGES[stage], layer, biasAt: block.qkBias ?? NONE };
    return this.#multiply("qkv", block.qkv, list, input, { keepAt, outAt: this.#scratch.query, ...place });
  }

  #matmul(matrix: GpuMatrix, list: ListName, input: Input, output: Output): Step {
    return this.#multiply("matmul", matrix, list, input, output);
  }

  #head(matrix: GpuMatrix, list: ListName): Step {
    const input: Input = { source: "state", at: this.#states.headInput, norms: [], statsAt: 0, parts: 0 };
    return this.#multiply("matmul", matrix, list, input, { outAt: 0 }, { name: "results", stride: this.#config.vocabSize });
  }

  #multiply(
    kernel: "matmul" | "qkv",
    matrix: GpuMatrix,
    list: ListName,
    input: Input,
    output: Output,
    target: { name: string; stride: number } = { name: "scratch", stride: this.#scratch.stride },
  ): Step {
    const { normEps } = this.#config;
    const [normA = NONE, normB = NONE] = input.norms;
    const { keepAt = NONE, residualAt = NONE, outStatsAt = NONE, outNorm = NONE, stage = 0, layer = 0, biasAt = NONE } = output;
    const params = this.#params(
      [
        matrix.rows,
        matrix.columns,
        matrix.group,
        SOURCE[input.source],
        input.at,
        target.stride,
        input.norms.length,
        normA,
        normB,
        input.statsAt,
        input.parts,
        keepAt,
        residualAt,
        output.outAt,
        outStatsAt,
        outNorm,
        stage,
        layer,
        biasAt,
      ],
      normEps,
    );
    const name = `${kernel}_${matrix.type satisfies WeightType}`;
    return new Step({
      one: this.#kernels.one(name),
      many: this.#kernels.many(name),
      own: { params, weights: matrix.buffer, vectors: this.#model.vectors },
      shared: { states: "states", scratch: target.name, rows: "rows", cache: "cache", steps: "steps", list },
      width: Math.ceil(matrix.rows / outputsTogether(this.#kernels.threads)),
    });
  }

  /** A uniform buffer of words, and an f32 behind them. */
  #params(words: readonly number[], float?: number): GPUBuffer {
    const all = new Uint32Array(words.length + (float === undefined ? 0 : 1));
    all.set(words);
    if (float !== undefined) new Float32Array(all.buffer)[words.length] = float;
    return this.#device.uniform(all);
  }
}

/** What a matmul leaves behind; see Params in parts/matmul-params.wgsl. */
interface Output {
  readonly outAt: number;
  readonly keepAt?: number;
  readonly residualAt?: number;
  readonly outStatsAt?: number;
  readonly outNorm?: number;
  readonly stage?: number;
  readonly layer?: number;
  readonly biasAt?: number;
}

function withNorm(input: Input, norm: number): Input {
  return { ...input, norms: [...input.norms, norm] };
}

/**
 * The model as programs: prelude, one core iteration, coda and head, each a list of dispatches. Five a block: norms +
 * qkv + rotary + cache, attention, projection + residual, norms + fc, gate + projection + residual.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import type { Device } from "./device.ts";
import { outputsTogether, type ScratchLayout, type StateLayout } from "./layout.ts";
import {
  adapterPhase,
  attendWords,
  blockPhases,
  outputOf,
  productWords,
  settleWords,
  stageInputs,
  withNorm,
  words,
  type AttentionPhase,
  type Input,
  type Phase,
  type ProductPhase,
} from "./phases.ts";
import { Step, type ListName, type Program } from "./program.ts";
import { STAGE_NUMBERS } from "./sequence.ts";
import type { Kernel } from "./shader.ts";
import type { GpuMatrix, GpuModel } from "./weights.ts";

/** Kernels by file name; `many` is the variant for several rows a workgroup. */
export interface Kernels {
  /** Of a matmul workgroup. */
  readonly threads: number;
  /** The kernel of parts/think.wgsl; undefined where one workgroup cannot think by itself. */
  readonly think: Promise<Kernel> | undefined;
  one(name: string): Kernel;
  many(name: string): Kernel;
}

export interface Programs {
  /** Embedding, prelude blocks, e and s_0. */
  readonly prelude: Program;
  /** One core iteration; the host decides what follows. */
  readonly iteration: Program;
  /** The same, and what each row attended to, by position, into `attended`. */
  readonly watchedIteration: Program;
  /** One core iteration; rows that have thought enough leave the list. */
  readonly decidingIteration: Program;
  /** All iterations of every row, where one workgroup can think by itself. */
  readonly wholeThought: Promise<Program> | undefined;
  /** Coda blocks and the head's input. */
  readonly coda: Program;
  /** Logits into `results`, [heads, vocabSize]. */
  readonly head: Program;
  /** As `head`, for every row of the turn. */
  readonly turnHead: Program;
  /** Before and after a token made on the device. */
  readonly arm: Program;
  readonly emit: Program;
  /** Changes into `results`, [rows, 4]. */
  readonly measure: Program;
}

export function buildPrograms(
  device: Device,
  config: ModelConfig,
  model: GpuModel,
  kernels: Kernels,
  layouts: { readonly scratch: ScratchLayout; readonly states: StateLayout },
): Programs {
  return new Builder(device, config, model, kernels, layouts.scratch, layouts.states).build();
}

class Builder {
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
    const { adapter, prelude, core, coda, head, at } = this.#model;
    const [config, s, states] = [this.#config, this.#scratch, this.#states];
    const inputs = stageInputs(config, at.finalNorm, s, states);
    const adapted = adapterPhase(adapter, inputs.adapter, s);
    const corePhases = blockPhases(config, s, core, "core", inputs.core);
    const coreEnd = outputOf(config, s, core, inputs.core);
    const preludeEnd = outputOf(config, s, prelude, inputs.prelude);
    const codaEnd = withNorm(outputOf(config, s, coda, inputs.coda), at.finalNorm);
    const iteration = this.#steps([adapted, ...corePhases], "core");
    const watched = this.#steps([adapted, ...corePhases], "core", true);
    const advance = this.#settle("advance", "core", coreEnd, states.state);
    return {
      prelude: [
        this.#begin("turn"),
        ...this.#steps(blockPhases(config, s, prelude, "prelude", inputs.prelude), "turn"),
        this.#settle("settle", "turn", preludeEnd, states.embedded),
      ],
      iteration: [...iteration, advance],
      watchedIteration: [...watched, advance],
      decidingIteration: [...iteration, this.#settle("advance_decide", "core", coreEnd, states.state)],
      wholeThought: this.#kernels.think?.then((kernel) => [this.#think(kernel, adapted, corePhases, coreEnd)]),
      coda: [
        ...this.#steps(blockPhases(config, s, coda, "coda", inputs.coda), "turn"),
        this.#settle("settle", "turn", codaEnd, states.headInput),
      ],
      head: [this.#head(head, "heads")],
      turnHead: [this.#head(head, "turn")],
      arm: [this.#plain("arm", { list: "turn", core: "core", rows: "rows", steps: "steps" })],
      emit: [this.#plain("emit", { results: "results", list: "turn", rows: "rows", steps: "steps" })],
      measure: [this.#plain("measure", { states: "states", results: "results", list: "core" })],
    };
  }

  #steps(phases: readonly Phase[], list: ListName, isWatched = false): Step[] {
    return phases.flatMap((phase) => {
      if (phase.kind !== "attention") return [this.#product(phase, list)];
      const rotate = this.#config.block.rotary === "half-split" ? [this.#rotate(phase, list)] : [];
      const watch = isWatched ? [this.#attention("attended", phase, list)] : [];
      return [...rotate, this.#attention("attention", phase, list), ...watch];
    });
  }

  /** A kernel of one workgroup a row that needs nothing but shared buffers. */
  #plain(kernel: string, shared: Readonly<Record<string, string>>): Step {
    return new Step({ one: this.#kernels.one(kernel), own: {}, shared });
  }

  #begin(list: ListName): Step {
    const { embedding, vectors } = this.#model;
    const s = this.#scratch;
    const params = words(8, [this.#config.width, embedding.group, s.stride, s.x, s.xStats], this.#config.normEps);
    return new Step({
      one: this.#kernels.one(`begin_${embedding.type}`),
      own: { params: this.#device.uniform(params), weights: embedding.buffer, vectors },
      shared: { states: "states", scratch: "scratch", rows: "rows", list },
    });
  }

  /** The end of a stage. */
  #settle(kernel: "settle" | "advance" | "advance_decide", list: ListName, input: Input, targetAt: number): Step {
    const params = this.#device.uniform(settleWords(input, targetAt, this.#scratch, this.#config.normEps));
    return new Step({
      one: this.#kernels.one(kernel),
      own: { params, vectors: this.#model.vectors },
      shared: { states: "states", scratch: "scratch", rows: "rows", steps: "steps", list },
    });
  }

  #rotate({ stage, layer }: AttentionPhase, list: ListName): Step {
    const { stride, query } = this.#scratch;
    const params = this.#device.uniform(words(4, [STAGE_NUMBERS[stage], layer, stride, query]));
    return new Step({
      one: this.#kernels.one("rotate"),
      own: { params, vectors: this.#model.vectors },
      shared: { scratch: "scratch", cache: "cache", rows: "rows", list },
    });
  }

  #attention(kernel: "attention" | "attended", phase: AttentionPhase, list: ListName): Step {
    return new Step({
      one: this.#kernels.one(kernel),
      own: { params: this.#device.uniform(attendWords(phase, this.#scratch)) },
      shared: { cache: "cache", steps: "steps", scratch: "scratch", rows: "rows", attended: "attended", list },
      ...(kernel === "attention" && { width: this.#config.heads }),
    });
  }

  #head(matrix: GpuMatrix, list: ListName): Step {
    const input: Input = { source: "state", at: this.#states.headInput, norms: [], statsAt: 0, parts: 0 };
    const phase: ProductPhase = { kind: "matmul", matrix, input, output: { outAt: 0 } };
    return this.#product(phase, list, { name: "results", stride: this.#config.vocabSize });
  }

  #product(phase: ProductPhase, list: ListName, target = { name: "scratch", stride: this.#scratch.stride }): Step {
    const { kind, matrix } = phase;
    const params = this.#device.uniform(productWords(phase, target.stride, this.#config.normEps));
    const name = `${kind}_${matrix.type}`;
    return new Step({
      one: this.#kernels.one(name),
      many: this.#kernels.many(name),
      own: { params, weights: matrix.buffer, vectors: this.#model.vectors },
      shared: { states: "states", scratch: target.name, rows: "rows", cache: "cache", steps: "steps", list },
      width: Math.ceil(matrix.rows / outputsTogether(this.#kernels.threads)),
    });
  }

  /** Think of parts/think.wgsl. */
  #think(kernel: Kernel, adapter: ProductPhase, phases: readonly Phase[], end: Input): Step {
    const { stride } = this.#scratch;
    const { normEps } = this.#config;
    const products = phases.filter((phase) => phase.kind !== "attention");
    const attentions = phases.filter((phase) => phase.kind === "attention");
    const parts = [
      ...[adapter, ...products].map((phase) => productWords(phase, stride, normEps)),
      ...attentions.map((phase) => attendWords(phase, this.#scratch)),
      settleWords(end, this.#states.state, this.#scratch, normEps),
    ];
    return new Step({
      one: kernel,
      own: {
        params: this.#device.uniform(Uint32Array.from(parts.flatMap((part) => [...part]))),
        weights: adapter.matrix.buffer,
        vectors: this.#model.vectors,
      },
      shared: { states: "states", scratch: "scratch", list: "core", rows: "rows", cache: "cache", steps: "steps" },
    });
  }
}

/**
 * The forward pass as programs, each a list of dispatches: prelude (which embeds), one core iteration, coda and head. Five a
 * block: norms + qkv + rotary + cache, attention, projection + residual, norms + fc, gate + projection + residual. A stage
 * ends with `finish_stage`, an iteration with `advance` (`advance_exit` tests the exit rule, too), and a token made on the
 * device lies between `begin_token` and `finish_token`. The fused core is all iterations of a token in one dispatch.
 */
/// <reference types="@webgpu/types" />
import type { ModelConfig } from "../engine/model/config.ts";
import type { Device } from "./device.ts";
import { NONE, type ScratchLayout, type StateLayout } from "./layout.ts";
import { pack, type StructValue } from "./pack.ts";
import {
  adapterPhase,
  attendParams,
  blockPhases,
  injectionPhases,
  outputOf,
  productParams,
  stageEndParams,
  stageInputs,
  withNorm,
  type AttentionPhase,
  type Input,
  type JoinPhase,
  type Phase,
  type ProductPhase,
  type QkNormPhase,
} from "./phases.ts";
import { Step, type ListName, type Program } from "./program.ts";
import { STAGE_NUMBERS } from "./sequence.ts";
import type { Kernel } from "./shader.ts";
import { cacheName, type CacheLayout } from "./cache-layout.ts";
import { weightsAt, wholeBuffer, type GpuMatrix } from "./matrix.ts";
import { headRanges, productRanges, type HeadRange, type ProductRange } from "./ranges.ts";
import type { GpuModel } from "./weights.ts";

/** Kernels by file name; `many` is the variant for several rows a workgroup. */
export interface Kernels {
  /** The kernel of parts/fused-core.wgsl; undefined where one workgroup cannot run the core by itself. */
  readonly fusedCore: Promise<Kernel> | undefined;
  one(name: string): Kernel;
  many(name: string): Kernel;
}

export interface Programs {
  /** Embedding, prelude blocks, e and s_0. */
  readonly prelude: Program;
  /** One core iteration; the host decides what follows. */
  readonly iteration: Program;
  /** One core iteration that also writes what each row attended to, by position, into `attended`. */
  readonly watchedIteration: Program;
  /** One core iteration; rows that exit leave the list. */
  readonly exitingIteration: Program;
  /** All iterations of every row in one dispatch, where one workgroup can run them. */
  readonly fusedCore: Promise<Program> | undefined;
  /** Coda blocks and the head's input. */
  readonly coda: Program;
  /** Logits into `results`, [heads, vocabSize]. */
  readonly head: Program;
  /** Logits of every row of the call into `results`. */
  readonly callHead: Program;
  /** What comes before a token made on the device; `finishToken` after it. */
  readonly beginToken: Program;
  readonly finishToken: Program;
  /** Changes into `results`, [rows, 4]. */
  readonly measure: Program;
}

/** Where everything lies in the buffers of rows and of the cache. */
export interface Layouts {
  readonly scratch: ScratchLayout;
  readonly states: StateLayout;
  readonly cache: CacheLayout;
}

export function buildPrograms(device: Device, config: ModelConfig, model: GpuModel, kernels: Kernels, layouts: Layouts): Programs {
  return new Builder(device, config, model, kernels, layouts).build();
}

class Builder {
  readonly #device: Device;
  readonly #config: ModelConfig;
  readonly #model: GpuModel;
  readonly #kernels: Kernels;
  readonly #scratch: ScratchLayout;
  readonly #states: StateLayout;
  readonly #cache: CacheLayout;
  readonly #heads: readonly HeadRange[];

  constructor(device: Device, config: ModelConfig, model: GpuModel, kernels: Kernels, { scratch, states, cache }: Layouts) {
    this.#device = device;
    this.#config = config;
    this.#model = model;
    this.#kernels = kernels;
    this.#scratch = scratch;
    this.#states = states;
    this.#cache = cache;
    this.#heads = headRanges(config, cache);
  }

  build(): Programs {
    const { adapter, prelude, core, coda, head, at } = this.#model;
    const [config, s, states] = [this.#config, this.#scratch, this.#states];
    const inputs = stageInputs(config, at.finalNorm, s, states);
    const corePhases = blockPhases(s, core, "core", inputs.core);
    const wholeCore = [...injectionPhases(config, adapter, inputs.adapter, s), ...corePhases];
    const normAt = (place: "iteration" | "head"): number | undefined =>
      config.recurrence.finalNorm.includes(place) ? at.finalNorm : undefined;
    const coreEnd = withNorm(outputOf(s, core, inputs.core), normAt("iteration"));
    const preludeEnd = outputOf(s, prelude, inputs.prelude);
    const codaEnd = withNorm(outputOf(s, coda, inputs.coda), normAt("head"));
    const iteration = this.#steps(wholeCore, "core");
    const watched = this.#steps(wholeCore, "core", true);
    const advance = this.#stageEnd("advance", "core", coreEnd, states.state);
    return {
      prelude: [
        ...this.#embed("call"),
        ...this.#steps(blockPhases(s, prelude, "prelude", inputs.prelude), "call"),
        this.#stageEnd("finish_stage", "call", preludeEnd, states.embedded),
        ...(config.recurrence.start === "embedded" ? [this.#startEmbedded()] : []),
      ],
      iteration: [...iteration, advance],
      watchedIteration: [...watched, advance],
      exitingIteration: [...iteration, this.#stageEnd("advance_exit", "core", coreEnd, states.state)],
      fusedCore: this.#kernels.fusedCore?.then((kernel) => [
        this.#fuse(kernel, adapterPhase(adapter!, inputs.adapter, s), corePhases, coreEnd),
      ]),
      coda: [
        ...this.#steps(blockPhases(s, coda, "coda", inputs.coda), "call"),
        this.#stageEnd("finish_stage", "call", codaEnd, states.headInput),
      ],
      head: this.#head(head, "heads"),
      callHead: this.#head(head, "call"),
      beginToken: [this.#plain("begin_token", { list: "call", core: "core", rows: "rows", steps: "steps" })],
      finishToken: [this.#plain("finish_token", { results: "results", list: "call", rows: "rows", steps: "steps" })],
      measure: [this.#plain("measure", { states: "states", results: "results", list: "core" })],
    };
  }

  #steps(phases: readonly Phase[], list: ListName, isWatched = false): Step[] {
    return phases.flatMap((phase) => {
      if (phase.kind === "norm_qk") {
        const norms = { query_norm: phase.query, key_norm: phase.key, eps: this.#config.normEps };
        return this.#heads.map((heads) => this.#onKeys("norm_qk", phase, heads, list, norms));
      }
      if (phase.kind === "join") return [this.#join(phase, list)];
      if (phase.kind === "skip_adapter") return [this.#skipAdapter(list)];
      if (phase.kind !== "attention") return this.#product(phase, list);
      return this.#heads.flatMap((heads) => {
        const rotate = this.#config.block.rotary === "half-split" ? [this.#onKeys("rotate", phase, heads, list)] : [];
        const watch = isWatched ? [this.#attention("attended", phase, heads, list)] : [];
        return [...rotate, this.#attention("attention", phase, heads, list), ...watch];
      });
    });
  }

  /** A kernel of one workgroup a row that needs nothing but shared buffers. */
  #plain(kernel: string, shared: Readonly<Record<string, string>>): Step {
    return new Step({ one: this.#kernels.one(kernel), own: {}, shared });
  }

  /** A kernel's uniform. */
  #params({ name, params }: Kernel, values: StructValue): GPUBuffer {
    if (params === undefined) throw new Error(`Kernel ${name} takes no parameters.`);
    return this.#device.uniform(pack(params, values));
  }

  /** A dispatch for every buffer of the embedding: a row takes part in that which holds its token. */
  #embed(list: ListName): Step[] {
    const { embedding, vectors } = this.#model;
    const { stride, x, xStats } = this.#scratch;
    const { width, normEps } = this.#config;
    const kernel = this.#kernels.one(`embed_${embedding.type}`);
    return embedding.parts.map((part) => {
      const rows = { first_token: part.from, end_token: part.to < embedding.rows ? part.to : NONE };
      const place = { columns: width, group: embedding.group, weights_at: weightsAt(part, embedding.tileWords), ...rows };
      return new Step({
        one: kernel,
        own: { params: this.#params(kernel, { ...place, stride, x_at: x, stats_at: xStats, eps: normEps }), weights: part.buffer, vectors },
        shared: { states: "states", scratch: "scratch", rows: "rows", list },
      });
    });
  }

  /** The end of a stage. */
  #stageEnd(name: "finish_stage" | "advance" | "advance_exit", list: ListName, input: Input, targetAt: number): Step {
    const kernel = this.#kernels.one(name);
    const params = this.#params(kernel, stageEndParams(input, targetAt, this.#scratch, this.#config.normEps));
    return new Step({
      one: kernel,
      own: { params, vectors: this.#model.vectors },
      shared: { states: "states", scratch: "scratch", rows: "rows", steps: "steps", list },
    });
  }

  #startEmbedded(): Step {
    return new Step({
      one: this.#kernels.one("start_embedded"),
      own: { vectors: this.#model.vectors },
      shared: { states: "states", rows: "rows", list: "call" },
    });
  }

  #skipAdapter(list: ListName): Step {
    const { stride, x, xStats, parts } = this.#scratch;
    const kernel = this.#kernels.one("skip_adapter");
    const params = this.#params(kernel, { stride, x_at: x, stats_at: xStats, stats_parts: parts });
    return new Step({ one: kernel, own: { params }, shared: { states: "states", scratch: "scratch", rows: "rows", list } });
  }

  #join({ made, norm, residualAt, outAt, outStatsAt }: JoinPhase, list: ListName): Step {
    const kernel = this.#kernels.one("join");
    const params = this.#params(kernel, {
      stride: this.#scratch.stride,
      made_at: made.at,
      stats_at: made.statsAt,
      stats_parts: made.parts,
      norm,
      residual_at: residualAt,
      out_at: outAt,
      out_stats_at: outStatsAt,
      eps: this.#config.normEps,
    });
    return new Step({ one: kernel, own: { params, vectors: this.#model.vectors }, shared: { scratch: "scratch", list } });
  }

  /** A kernel over the queries and new keys of a layer, those keys that one part of the cache holds. */
  #onKeys(
    name: "norm_qk" | "rotate",
    { stage, layer }: AttentionPhase | QkNormPhase,
    { cachePart, keysFrom }: HeadRange,
    list: ListName,
    more: StructValue = {},
  ): Step {
    const { stride, query } = this.#scratch;
    const kernel = this.#kernels.one(name);
    const place = { stage: STAGE_NUMBERS[stage], layer, stride, query_at: query, first_key_head: keysFrom };
    return new Step({
      one: kernel,
      own: { params: this.#params(kernel, { ...place, ...more }), vectors: this.#model.vectors },
      shared: { scratch: "scratch", cache: cacheName(cachePart), rows: "rows", list },
    });
  }

  #attention(name: "attention" | "attended", phase: AttentionPhase, heads: HeadRange, list: ListName): Step {
    const kernel = this.#kernels.one(name);
    return new Step({
      one: kernel,
      own: { params: this.#params(kernel, attendParams(phase, heads, this.#scratch)) },
      shared: { cache: cacheName(heads.cachePart), steps: "steps", scratch: "scratch", rows: "rows", attended: "attended", list },
      ...(name === "attention" && { width: heads.to - heads.from }),
    });
  }

  #head(matrix: GpuMatrix, list: ListName): Step[] {
    const input: Input = { source: "state", at: this.#states.headInput, norms: [], statsAt: 0, parts: 0 };
    const phase: ProductPhase = { kind: "matmul", matrix, input, output: { outAt: 0 } };
    return this.#product(phase, list, { name: "results", stride: this.#config.vocabSize });
  }

  #product(phase: ProductPhase, list: ListName, target = { name: "scratch", stride: this.#scratch.stride }): Step[] {
    const { kind, matrix } = phase;
    const name = `${kind}_${matrix.type}`;
    const one = this.#kernels.one(name);
    return productRanges(matrix, kind, this.#config, this.#cache).map((range) => {
      const params = this.#params(one, productParams(phase, range, target.stride, this.#config.normEps));
      return new Step({
        one,
        many: this.#kernels.many(name),
        own: { params, weights: range.part.buffer, vectors: this.#model.vectors },
        shared: { states: "states", scratch: target.name, rows: "rows", cache: cacheName(range.cachePart), steps: "steps", list },
        width: Math.ceil((range.to - range.from) / one.declarations.constant("OUTPUTS")),
      });
    });
  }

  /** FusedCore of parts/fused-core.wgsl. */
  #fuse(kernel: Kernel, adapter: ProductPhase, phases: readonly Phase[], end: Input): Step {
    const { stride } = this.#scratch;
    const { normEps } = this.#config;
    const products = phases.filter((phase) => "matrix" in phase);
    const attentions = phases.filter((phase) => phase.kind === "attention");
    const whole = ({ kind, matrix }: ProductPhase): ProductRange => productRanges(matrix, kind, this.#config, this.#cache)[0]!;
    const params = {
      adapter: productParams(adapter, whole(adapter), stride, normEps),
      products: products.map((phase) => productParams(phase, whole(phase), stride, normEps)),
      attends: attentions.map((phase) => attendParams(phase, this.#heads[0]!, this.#scratch)),
      end: stageEndParams(end, this.#states.state, this.#scratch, normEps),
    };
    return new Step({
      one: kernel,
      own: {
        params: this.#params(kernel, params),
        weights: wholeBuffer(adapter.matrix),
        vectors: this.#model.vectors,
      },
      shared: { states: "states", scratch: "scratch", list: "core", rows: "rows", cache: "cache", steps: "steps" },
    });
  }
}

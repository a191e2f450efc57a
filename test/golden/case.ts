/**
 * A folder of golden vectors: config.json, model.safetensors, golden.safetensors, golden.json, made by the authors'
 * own code. Reads them; what they mean is in the *-records.ts files.
 */
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { diskFolder } from "../../cli/files.ts";
import type { Backend, Inspectable } from "../../engine/port/backend.ts";
import { collectBytes } from "../../engine/model/collect.ts";
import { readConfig, readWeights } from "../../engine/model/folder.ts";
import type { ModelConfig } from "../../engine/model/config.ts";
import type { WeightSink } from "../../engine/model/checkpoint.ts";
import { readSafetensors } from "../../engine/model/safetensors.ts";

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export interface StreamRecord {
  readonly kind: "fixed" | "continuous" | "adaptive" | "speculative" | "gate";
  readonly args: Readonly<Record<string, number | string | boolean>>;
  readonly batch: number;
  readonly tokens: readonly (readonly number[])[];
  readonly compute_steps?: readonly (readonly number[])[];
  /** Loops that the head read, by token and batch row. */
  readonly loops?: readonly (readonly number[])[];
  readonly exit_values_row0?: readonly (readonly number[])[];
  readonly accepted?: readonly number[];
  readonly eos_token_id?: number;
  readonly repetition_penalty?: number;
}

export interface DiffusionRecord {
  readonly args: Readonly<Record<string, number | string | boolean>>;
  readonly raises?: string;
  readonly tokens?: readonly number[];
  readonly tape_rows_used?: number;
  readonly num_core_forward_passes?: number;
  readonly num_tokens_forward?: number;
  readonly num_cache_clears?: number;
  readonly num_standing_waves?: number;
  readonly diffusion_steps?: number;
  readonly gen_seq_length?: number;
  readonly recurrence_per_position?: readonly number[];
  readonly token_stable_per_position?: readonly number[];
}

export interface GoldenJson {
  readonly cache_slots_r8: readonly number[];
  readonly kv_chunks: readonly number[];
  readonly kv_var_steps: readonly number[];
  readonly kv: Readonly<Record<string, { slots_fixed16: readonly number[]; bytes_fixed16: number; var: boolean | string }>>;
  readonly adaptive_forward: Readonly<Record<string, readonly { threshold: number; steps: readonly number[] }[]>>;
  readonly streams: readonly StreamRecord[];
  readonly diffusion?: readonly DiffusionRecord[];
  /** Retrofits: deviation of a random initial state, and where it is cut. */
  readonly init_state?: { readonly mode: string; readonly std: number; readonly cut: number; readonly embed_scale: number };
  /** Ouro: loops at which positions exit, by threshold. */
  readonly exits?: readonly { readonly threshold: number; readonly loops: readonly number[] }[];
  readonly cache_slots?: number;
}

export type TestBackend = Backend & Inspectable;
export type BackendFactory = (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => Promise<TestBackend>;

export interface GoldenCase {
  readonly name: string;
  readonly config: ModelConfig;
  readonly backend: TestBackend;
  readonly json: GoldenJson;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The model's own weights as the file has them, by the engine's names: vectors alone. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
  /** Tensors that some record has been held against. */
  readonly used: Set<string>;
}

/** Case folders within a folder, by name; the folder itself where it is one. */
export async function findCases(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((e) => e.name === "golden.json")) return [folder];
  const cases: string[] = [];
  for (const e of entries)
    if (e.isDirectory() && (await readdir(join(folder, e.name))).includes("golden.json")) cases.push(join(folder, e.name));
  return cases.sort();
}

export async function loadCase(path: string, createBackend: BackendFactory): Promise<GoldenCase> {
  const folder = diskFolder(path);
  const config = await readConfig(folder);
  const backend = await createBackend(config, (sink) => readWeights(folder, config, sink));
  const json = JSON.parse(await readFile(join(path, "golden.json"), "utf8")) as GoldenJson;
  const vectors = new Map<string, Float32Array>();
  const ignore = { write() {}, done() {} };
  const keep = (name: string, length: number) =>
    collectBytes(4 * length, (bytes) => void vectors.set(name, new Float32Array(bytes.buffer)));
  await readWeights(folder, config, { matrix: () => ignore, vector: keep });
  return { name: basename(path), config, backend, json, tensors: await readTensors(path), vectors, used: new Set() };
}

async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const source = await diskFolder(path).open("golden.safetensors");
  if (source === undefined) throw new Error(`${path} has no golden.safetensors`);
  const tensors = new Map<string, Tensor>();
  await readSafetensors(
    source,
    () => {},
    (info) => {
      const bytes = new Uint8Array(info.end - info.begin);
      let at = 0;
      return {
        write(chunk) {
          bytes.set(chunk, at);
          at += chunk.length;
        },
        done() {
          const data = info.dtype === "I32" ? new Int32Array(bytes.buffer) : new Float32Array(bytes.buffer);
          tensors.set(info.name, { shape: info.shape, data });
        },
      };
    },
  );
  return tensors;
}

/**
 * Reading a model's tensors from one or several safetensors files into a backend's memory. Checks that every tensor is
 * there once, with the shape the config gives it, and that nothing unknown is.
 */
import { FathomError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";
import { FAMILIES } from "./families/index.ts";
import { finiteFloats, finiteScales } from "./finite.ts";
import { floatsToF32 } from "./floats.ts";
import { layoutObjection, quantisedBytes, type QuantLayout } from "./quantised.ts";
import {
  readSafetensors,
  readSafetensorsHeader,
  type ByteSource,
  type SafetensorsHeader,
  type TensorInfo,
  type TensorWriter,
} from "./safetensors.ts";
import { PartsJoiner, WantedTensors, type Wanted } from "./wanted.ts";
import { weightSpecs, type WeightSpec } from "./tensors.ts";

export { ADAPTER, blockPrefix, EMBEDDING, FINAL_NORM, GATE, HEAD, weightSpecs, type WeightSpec } from "./tensors.ts";

/** Key of the safetensors metadata that describes quantised tensors: JSON, name -> QuantLayout. */
export const QUANT_METADATA = "fathom.quantised";

/** How a matrix arrives: f32 row-major, or packed tiles. */
export type MatrixLayout = { readonly format: "f32"; readonly rows: number; readonly columns: number } | QuantLayout;

/** A backend's side of loading. Writers get little-endian f32 (whatever the file holds) or packed tiles. */
export interface WeightSink {
  /** Hears of every matrix of a file, by its name here, before any of them comes: whoever has no room says so then. */
  expect?(matrices: ReadonlyMap<string, MatrixLayout>): void;
  matrix(name: string, layout: MatrixLayout): TensorWriter;
  vector(name: string, length: number): TensorWriter;
}

/** Tensors of published files that are not weights, or repeat one: they are skipped. */
function isRedundant(name: string, config: ModelConfig): boolean {
  return name === "freqs_cis" || (name === FAMILIES[config.family].tensors.head && config.tiedHead);
}

/** One file of a checkpoint. */
export interface Shard {
  /** The shard's name in the folder, as an index writes it; the source's own name may be a path or a URL. */
  readonly file: string;
  readonly source: ByteSource;
}

/**
 * Streams a checkpoint into a sink, file after file; a file is asked for when the one before it has been read.
 * @param shardOf weight_map of model.safetensors.index.json, for sharded checkpoints.
 * @throws {FathomError} invalid_checkpoint, invalid_config (a tensor's shape is not what the config says)
 */
export async function readCheckpoint(
  shards: AsyncIterable<Shard> | Iterable<Shard>,
  config: ModelConfig,
  sink: WeightSink,
  shardOf?: Readonly<Record<string, string>>,
): Promise<void> {
  const wanted = new WantedTensors(weightSpecs(config));
  const joiners = new Map<WeightSpec, PartsJoiner>();
  for await (const shard of shards) {
    const { source } = shard;
    let layouts: ReadonlyMap<string, QuantLayout> = new Map();
    await readSafetensors(
      source,
      (header) => {
        layouts = quantLayouts(source.name, header);
        checkTensors(shard, header, config, wanted, layouts, shardOf);
        sink.expect?.(matricesOf(header, wanted, layouts));
      },
      (tensor) => {
        const found = wanted.take(tensor.name);
        return found && writerFor(tensor, found, layouts.get(tensor.name), sink, joiners);
      },
    );
  }
  checkComplete(wanted);
}

/**
 * Checks all that headers tell, and reads no data: every tensor there once, of the right shape and in the right file.
 * @returns how many of them are quantised
 * @throws {FathomError} invalid_checkpoint, invalid_config
 */
export async function checkCheckpoint(
  shards: AsyncIterable<Shard> | Iterable<Shard>,
  config: ModelConfig,
  shardOf?: Readonly<Record<string, string>>,
): Promise<{ quantised: number }> {
  const wanted = new WantedTensors(weightSpecs(config));
  let quantised = 0;
  for await (const shard of shards) {
    const header = await readSafetensorsHeader(shard.source);
    const layouts = quantLayouts(shard.source.name, header);
    checkTensors(shard, header, config, wanted, layouts, shardOf);
    for (const { name } of header.tensors) wanted.take(name);
    quantised += layouts.size;
  }
  checkComplete(wanted);
  return { quantised };
}

/** The matrices that a file brings; one that comes in parts counts once, whole. */
function matricesOf(
  { tensors }: SafetensorsHeader,
  wanted: WantedTensors,
  layouts: ReadonlyMap<string, QuantLayout>,
): Map<string, MatrixLayout> {
  const matrices = new Map<string, MatrixLayout>();
  for (const { name } of tensors) {
    const spec = wanted.get(name)?.spec;
    if (spec?.kind !== "matrix") continue;
    const [rows = 1, columns = 1] = spec.shape;
    matrices.set(spec.name, layouts.get(name) ?? { format: "f32", rows, columns });
  }
  return matrices;
}

function checkComplete({ missing: names }: WantedTensors): void {
  if (names.length === 0) return;
  throw new FathomError(
    "invalid_checkpoint",
    `The checkpoint lacks ${names.length} tensor${names.length > 1 ? "s" : ""} that config.json asks for: ` +
      `${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}. Check that all files are there and that config.json belongs to them.`,
    names[0],
  );
}

function writerFor(
  { name, dtype }: TensorInfo,
  { spec, part }: Wanted,
  layout: QuantLayout | undefined,
  sink: WeightSink,
  joiners: Map<WeightSpec, PartsJoiner>,
): TensorWriter {
  if (layout !== undefined) return finiteScales(name, layout, sink.matrix(spec.name, layout));
  const whole = (): TensorWriter => {
    const [rows = 1, columns = 1] = spec.shape;
    return spec.kind === "matrix"
      ? sink.matrix(spec.name, { format: "f32", rows, columns })
      : sink.vector(
          spec.name,
          spec.shape.reduce((a, b) => a * b, 1),
        );
  };
  const joiner = part === undefined ? undefined : (joiners.get(spec) ?? new PartsJoiner(whole(), spec.parts!.length));
  if (joiner !== undefined) joiners.set(spec, joiner);
  const checked = finiteFloats(name, joiner === undefined ? whole() : joiner.writer(part!));
  return dtype === "F32" ? checked : floatsToF32(dtype as "F16" | "BF16", checked);
}

/** Checks, before any data is used, that every tensor of the file is wanted, fits the config, and lies in its shard. */
function checkTensors(
  { file, source: { name: path } }: Shard,
  header: SafetensorsHeader,
  config: ModelConfig,
  wanted: WantedTensors,
  layouts: ReadonlyMap<string, QuantLayout>,
  shardOf: Readonly<Record<string, string>> | undefined,
): void {
  for (const tensor of header.tensors) {
    const { name } = tensor;
    if (isRedundant(name, config)) continue;
    const found = wanted.get(name);
    if (found === undefined)
      throw new FathomError(
        "invalid_checkpoint",
        `${path}: tensor ${name} is not part of a model with this config.json (or occurs twice). Check that the file and config.json belong together.`,
        name,
      );
    if (shardOf !== undefined && shardOf[name] !== file)
      throw new FathomError("invalid_checkpoint", `${path}: tensor ${name} belongs into ${shardOf[name] ?? "no file"} by the index.`, name);
    const layout = layouts.get(name);
    if (layout === undefined) checkFloatTensor(path, tensor, found);
    else checkQuantTensor(path, tensor, found, layout);
  }
}

function checkFloatTensor(file: string, tensor: TensorInfo, { shape }: Wanted): void {
  if (tensor.dtype !== "F32" && tensor.dtype !== "F16" && tensor.dtype !== "BF16")
    throw new FathomError(
      "invalid_checkpoint",
      `${file}: tensor ${tensor.name} has dtype ${tensor.dtype}; weights must be F32, F16, BF16 or described in ${QUANT_METADATA}.`,
      tensor.name,
    );
  if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i]))
    throw new FathomError(
      "invalid_config",
      `${file}: tensor ${tensor.name} has shape [${tensor.shape.join(", ")}], but config.json makes it [${shape.join(", ")}]. The two do not belong together.`,
      tensor.name,
    );
}

function checkQuantTensor(file: string, tensor: TensorInfo, { spec, shape }: Wanted, layout: QuantLayout): void {
  if (spec.kind !== "matrix")
    throw new FathomError("invalid_checkpoint", `${file}: ${tensor.name} is quantised, but only matrices can be.`, tensor.name);
  if (layout.rows !== shape[0] || layout.columns !== shape[1])
    throw new FathomError(
      "invalid_config",
      `${file}: tensor ${tensor.name} is ${layout.rows} x ${layout.columns}, but config.json makes it ${shape.join(" x ")}. The two do not belong together.`,
      tensor.name,
    );
  const bytes = quantisedBytes(layout);
  if (tensor.dtype !== "U8" || tensor.end - tensor.begin !== bytes)
    throw new FathomError(
      "invalid_checkpoint",
      `${file}: tensor ${tensor.name} has ${tensor.end - tensor.begin} bytes of ${tensor.dtype}; ${layout.format} needs ${bytes} of U8.`,
      tensor.name,
    );
}

/** The quantised tensors that a file's metadata describes. */
function quantLayouts(file: string, header: SafetensorsHeader): Map<string, QuantLayout> {
  const text = header.metadata[QUANT_METADATA];
  if (text === undefined) return new Map();
  const invalid = (what: string, options?: ErrorOptions): FathomError =>
    new FathomError("invalid_checkpoint", `${file}: ${QUANT_METADATA} in its metadata ${what}.`, QUANT_METADATA, options);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid("is not JSON", { cause });
  }
  if (typeof json !== "object" || json === null) throw invalid("is not a JSON object");
  const names = new Set(header.tensors.map((t) => t.name));
  return new Map(
    Object.entries(json).map(([name, value]) => {
      const v = value as Partial<QuantLayout> | null;
      const natural = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n > 0;
      if (!names.has(name)) throw invalid(`names ${name}, which the file does not hold`);
      if (!v || (v.format !== "q4" && v.format !== "q8") || !natural(v.rows) || !natural(v.columns) || !natural(v.group))
        throw invalid(`describes ${name} by ${JSON.stringify(value)}; expected {"format": "q4" or "q8", "rows", "columns", "group"}`);
      const layout: QuantLayout = { format: v.format, rows: v.rows, columns: v.columns, group: v.group };
      const objection = layoutObjection(layout, name);
      if (objection !== undefined) throw invalid(`describes what no kernel reads: ${objection}`);
      return [name, layout];
    }),
  );
}

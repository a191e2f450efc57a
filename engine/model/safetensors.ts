/**
 * The safetensors container, read in file order from a stream: header first, then each tensor's bytes handed to a
 * sink as they arrive, so that a file goes straight into a backend's memory with no second copy.
 * Every offset, length, dtype and shape is checked before the first byte of data is used.
 * Format: 8-byte little-endian header length, JSON header, data. Not here: what the tensors mean (checkpoint.ts).
 */
import { FathomError, type FathomErrorOptions } from "../errors.ts";

/** dtypes that can be read; U8 carries Fathom's quantised tiles. */
export type Dtype = "F32" | "F16" | "BF16" | "U8" | "I32" | "I64";

const BYTES_PER_ELEMENT: Readonly<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2, U8: 1, I32: 4, I64: 8 };

/** The format's own limit on the header, in bytes. */
const LARGEST_HEADER = 100_000_000;

/** A tensor's name, type, shape and place. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Byte range within the data section. */
  readonly begin: number;
  readonly end: number;
}

/** What a safetensors file says of its tensors. */
export interface SafetensorsHeader {
  /** Tensors in file order; ranges touch, without gaps. */
  readonly tensors: readonly TensorInfo[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes before the data section. */
  readonly headerBytes: number;
  readonly dataBytes: number;
}

/** Where a file's bytes come from. `bytes`, where known, is checked against the header. */
export interface ByteSource {
  /** The source's name, for messages. */
  readonly name: string;
  readonly bytes?: number | undefined;
  open(): AsyncIterable<Uint8Array>;
}

/** Receives one tensor: `write` gets its bytes in order, in chunks of any size; `done` ends it. */
export interface TensorWriter {
  write(chunk: Uint8Array): void;
  done(): void;
}

/**
 * Reads a whole file. `onHeader` sees the checked header before any data; `onTensor` gives a writer, or undefined to
 * skip a tensor. @throws {FathomError} invalid_checkpoint
 */
export async function readSafetensors(
  source: ByteSource,
  onHeader: (header: SafetensorsHeader) => void,
  onTensor: (tensor: TensorInfo) => TensorWriter | undefined,
): Promise<SafetensorsHeader> {
  const reader = new ChunkReader(source);
  try {
    const header = await takeHeader(reader, source);
    onHeader(header);
    for (const tensor of header.tensors) {
      const writer = onTensor(tensor);
      await reader.copy(tensor.end - tensor.begin, `tensor ${tensor.name}`, (chunk) => writer?.write(chunk));
      writer?.done();
    }
    await reader.end();
    return header;
  } finally {
    await reader.close();
  }
}

/** Reads only the checked header, and leaves the data where it is. @throws {FathomError} invalid_checkpoint */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const reader = new ChunkReader(source);
  try {
    return await takeHeader(reader, source);
  } finally {
    await reader.close();
  }
}

async function takeHeader(reader: ChunkReader, source: ByteSource): Promise<SafetensorsHeader> {
  const length = await reader.exactly(8, "the header length");
  const headerLength = Number(new DataView(length.buffer, length.byteOffset, 8).getBigUint64(0, true));
  if (headerLength > LARGEST_HEADER || (source.bytes !== undefined && headerLength > source.bytes - 8))
    throw invalid(source.name, `its header claims ${headerLength} bytes; this is not a safetensors file, or it is truncated`);
  return parseHeader(source.name, await reader.exactly(headerLength, "the header"), source.bytes);
}

/**
 * Checks a header. `fileBytes`, where known, must be exactly header plus data.
 * @throws {FathomError} invalid_checkpoint
 */
function parseHeader(file: string, headerJson: Uint8Array, fileBytes?: number): SafetensorsHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(headerJson));
  } catch (cause) {
    throw invalid(file, "its header is not JSON; this is not a safetensors file, or it is damaged", undefined, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid(file, "its header is not a JSON object");
  const { __metadata__: metadata = {}, ...entries } = json as Record<string, unknown>;
  if (typeof metadata !== "object" || metadata === null || Object.values(metadata).some((v) => typeof v !== "string"))
    throw invalid(file, "__metadata__ is not an object of strings");
  const tensors = Object.entries(entries)
    .map(([name, entry]) => parseEntry(file, name, entry))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const t of tensors) {
    if (t.begin !== at)
      throw invalid(
        file,
        `tensor ${t.name} starts at byte ${t.begin} of the data, expected ${at}: tensors must neither overlap nor leave gaps`,
      );
    at = t.end;
  }
  const headerBytes = 8 + headerJson.length;
  if (fileBytes !== undefined && fileBytes !== headerBytes + at)
    throw invalid(file, `it has ${fileBytes} bytes, but its header describes ${headerBytes + at}; download it again`);
  return { tensors, metadata: metadata as Record<string, string>, headerBytes, dataBytes: at };
}

function parseEntry(file: string, name: string, entry: unknown): TensorInfo {
  const e = entry as { dtype?: unknown; shape?: unknown; data_offsets?: unknown } | null;
  const { dtype, shape, data_offsets: offsets } = typeof e === "object" && e !== null ? e : {};
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES_PER_ELEMENT, dtype))
    throw invalid(
      file,
      `tensor ${name} has dtype ${JSON.stringify(dtype)}; supported are ${Object.keys(BYTES_PER_ELEMENT).join(", ")}`,
      name,
    );
  const natural = (v: unknown): v is number => typeof v === "number" && Number.isSafeInteger(v) && v >= 0;
  if (!Array.isArray(shape) || !shape.every(natural)) throw invalid(file, `tensor ${name} has no valid shape`, name);
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (!natural(begin) || !natural(end) || begin > end) throw invalid(file, `tensor ${name} has no valid data_offsets`, name);
  const elements = shape.reduce((product: number, n) => product * n, 1);
  const bytes = elements * BYTES_PER_ELEMENT[dtype as Dtype];
  if (!Number.isSafeInteger(bytes) || bytes !== end - begin)
    throw invalid(
      file,
      `tensor ${name} of shape [${shape.join(", ")}] and dtype ${dtype} needs ${bytes} bytes, but its data_offsets span ${end - begin}`,
      name,
    );
  return { name, dtype: dtype as Dtype, shape: shape as number[], begin, end };
}

function invalid(file: string, what: string, param?: string, options?: FathomErrorOptions): FathomError {
  return new FathomError("invalid_checkpoint", `${file}: ${what}.`, param, options);
}

/** Pulls exact counts of bytes out of a stream of chunks of any size. */
class ChunkReader {
  readonly #source: ByteSource;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  #taken = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.#chunks = source.open()[Symbol.asyncIterator]();
  }

  async copy(bytes: number, what: string, write: (chunk: Uint8Array) => void): Promise<void> {
    let left = bytes;
    while (left > 0) {
      if (this.#rest.length === 0 && !(await this.#next()))
        throw invalid(
          this.#source.name,
          `it ends after ${this.#taken} bytes, within ${what}: the file is truncated; download it again`,
          undefined,
          { isTransient: true }, // a stream over a network may have ended early
        );
      const part = this.#rest.subarray(0, left);
      write(part);
      this.#rest = this.#rest.subarray(part.length);
      this.#taken += part.length;
      left -= part.length;
    }
  }

  async exactly(bytes: number, what: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = []; // grows with what really arrives, so a lying length allocates nothing
    await this.copy(bytes, what, (chunk) => parts.push(chunk.slice()));
    const out = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  async end(): Promise<void> {
    if (this.#rest.length > 0 || (await this.#next()))
      throw invalid(this.#source.name, `it goes on after the ${this.#taken} bytes that its header describes`);
  }

  /** Lets go of the stream, wherever it is. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** Takes the next chunk; false at the end of the stream. */
  async #next(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      if (value.length > 0) {
        this.#rest = value;
        return true;
      }
    }
  }
}

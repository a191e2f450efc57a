/**
 * Writes GGUF files (version 3): the llama architecture in the benchmark's shape with random weights, for llama.cpp.
 */
import { CONTEXT, HEAD_DIM, HEADS, LAYERS, MLP_WIDTH, randomBytes, VOCAB_SIZE, WIDTH } from "./engine.ts";

export type GgufFormat = "q4_0" | "q8_0";

/** ggml's type number, llama.cpp's file type, and bytes of a block of 32 weights: an f16 scale and the integers. */
const FORMATS = {
  q4_0: { type: 2, fileType: 2, blockBytes: 18, integerDeviation: 4.61 },
  q8_0: { type: 8, fileType: 7, blockBytes: 34, integerDeviation: 73.9 },
} as const;
const F32 = 0;
const BLOCK = 32;
const ALIGNMENT = 32;
/** GGUF's value types. */
const [UINT32, INT32, FLOAT32, STRING, ARRAY] = [4, 5, 6, 8, 9];
/** Tokens that are not text: <unk>, <s>, </s> and 256 bytes. */
const SPECIAL_TOKENS = 3 + 256;

class Writer {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  bytes(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.length;
  }
  u32(v: number): void {
    this.bytes(new Uint8Array(Uint32Array.of(v).buffer));
  }
  u64(v: number): void {
    this.bytes(new Uint8Array(BigUint64Array.of(BigInt(v)).buffer));
  }
  f32(v: number): void {
    this.bytes(new Uint8Array(Float32Array.of(v).buffer));
  }
  text(v: string): void {
    const utf8 = new TextEncoder().encode(v);
    this.u64(utf8.length);
    this.bytes(utf8);
  }
  align(): void {
    this.bytes(new Uint8Array((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT));
  }
  finish(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

interface GgufTensor {
  readonly name: string;
  /** Fastest dimension first. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly data: Uint8Array;
}

export function ggufFile(format: GgufFormat): Uint8Array<ArrayBuffer> {
  const tensors = modelTensors(format);
  const metadata = modelMetadata(format);
  const out = new Writer();
  out.bytes(new TextEncoder().encode("GGUF"));
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.length);
  for (const write of metadata) write(out);
  let offset = 0;
  for (const { name, shape, type, data } of tensors) {
    out.text(name);
    out.u32(shape.length);
    for (const n of shape) out.u64(n);
    out.u32(type);
    out.u64(offset);
    offset += Math.ceil(data.length / ALIGNMENT) * ALIGNMENT;
  }
  out.align();
  for (const { data } of tensors) {
    out.bytes(data);
    out.align();
  }
  return out.finish();
}

function modelMetadata(format: GgufFormat): ((out: Writer) => void)[] {
  const entry = (key: string, type: number, write: (out: Writer) => void) => (out: Writer): void => {
    out.text(key);
    out.u32(type);
    write(out);
  };
  const whole = (key: string, v: number): ((out: Writer) => void) => entry(key, UINT32!, (out) => out.u32(v));
  const text = (key: string, v: string): ((out: Writer) => void) => entry(key, STRING!, (out) => out.text(v));
  const list = <T>(key: string, type: number, values: readonly T[], write: (out: Writer, v: T) => void): ((out: Writer) => void) =>
    entry(key, ARRAY!, (out) => {
      out.u32(type);
      out.u64(values.length);
      for (const v of values) write(out, v);
    });
  const { tokens, types } = vocabulary();
  return [
    text("general.architecture", "llama"),
    text("general.name", "bench"),
    whole("general.file_type", FORMATS[format].fileType),
    whole("llama.block_count", LAYERS),
    whole("llama.context_length", CONTEXT),
    whole("llama.embedding_length", WIDTH),
    whole("llama.feed_forward_length", MLP_WIDTH),
    whole("llama.attention.head_count", HEADS),
    whole("llama.attention.head_count_kv", HEADS),
    entry("llama.attention.layer_norm_rms_epsilon", FLOAT32!, (out) => out.f32(1e-5)),
    whole("llama.rope.dimension_count", HEAD_DIM),
    whole("llama.vocab_size", VOCAB_SIZE),
    text("tokenizer.ggml.model", "llama"),
    text("tokenizer.ggml.pre", "default"),
    list("tokenizer.ggml.tokens", STRING!, tokens, (out, v) => out.text(v)),
    list("tokenizer.ggml.scores", FLOAT32!, tokens.map((_, i) => -i), (out, v) => out.f32(v)),
    list("tokenizer.ggml.token_type", INT32!, types, (out, v) => out.u32(v)),
    whole("tokenizer.ggml.bos_token_id", 1),
    whole("tokenizer.ggml.eos_token_id", 2),
    whole("tokenizer.ggml.unknown_token_id", 0),
  ];
}

/** One token a letter, so that a prompt of a known length can be written as text. */
function vocabulary(): { tokens: string[]; types: number[] } {
  const [UNKNOWN, CONTROL, BYTE, NORMAL] = [2, 3, 6, 1] as [number, number, number, number];
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [UNKNOWN, CONTROL, CONTROL];
  for (let i = 0; i < 256; i++) tokens.push(`<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`), types.push(BYTE);
  tokens.push(..."▁abcdefghijklmnopqrstuvwxyz");
  while (tokens.length < VOCAB_SIZE) tokens.push(`▁w${tokens.length}`);
  while (types.length < VOCAB_SIZE) types.push(NORMAL);
  return { tokens, types };
}

function modelTensors(format: GgufFormat): GgufTensor[] {
  const { type, blockBytes, integerDeviation } = FORMATS[format];
  let seed = 11;
  const matrix = (name: string, columns: number, rows: number, gain = 1): GgufTensor => {
    const data = randomBytes(((columns * rows) / BLOCK) * blockBytes, seed++);
    const scale = halfBits(gain / Math.sqrt(columns) / integerDeviation);
    for (let at = 0; at < data.length; at += blockBytes) {
      data[at] = scale & 255;
      data[at + 1] = scale >> 8;
    }
    return { name, shape: [columns, rows], type, data };
  };
  const norm = (name: string): GgufTensor => ({ name, shape: [WIDTH], type: F32, data: new Uint8Array(new Float32Array(WIDTH).fill(1).buffer) });
  const embedding = matrix("token_embd.weight", WIDTH, VOCAB_SIZE);
  embedding.data.fill(0, 0, ((SPECIAL_TOKENS * WIDTH) / BLOCK) * blockBytes); // never the largest logit: the text stays text
  const layers = Array.from({ length: LAYERS }, (_, i) => `blk.${i}`).flatMap((layer) => [
    norm(`${layer}.attn_norm.weight`),
    ...["q", "k", "v"].map((part) => matrix(`${layer}.attn_${part}.weight`, WIDTH, WIDTH)),
    matrix(`${layer}.attn_output.weight`, WIDTH, WIDTH, 0.3),
    norm(`${layer}.ffn_norm.weight`),
    matrix(`${layer}.ffn_gate.weight`, WIDTH, MLP_WIDTH),
    matrix(`${layer}.ffn_up.weight`, WIDTH, MLP_WIDTH),
    matrix(`${layer}.ffn_down.weight`, MLP_WIDTH, WIDTH, 0.3),
  ]);
  return [embedding, ...layers, norm("output_norm.weight")];
}

/** f32 -> f16, truncating; ordinary positive numbers only. */
function halfBits(value: number): number {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer) as unknown as [number];
  return ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023);
}

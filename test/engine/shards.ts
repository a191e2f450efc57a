/**
 * Cuts a safetensors file into shards with an index, as published checkpoints come.
 */
import { QUANT_METADATA } from "../../engine/model/checkpoint.ts";
import { safetensors } from "./files.ts";

const SHARD_INDEX = "model.safetensors.index.json";

type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };

/** The files that take the place of model.safetensors: `count` shards of every count-th tensor, and the index. */
export function shardsOf(file: Uint8Array, count: number): Record<string, string | Uint8Array> {
  const { metadata, entries, data } = open(file);
  const weightMap: Record<string, string> = {};
  const files: Record<string, string | Uint8Array> = {};
  for (let n = 0; n < count; n++) {
    const name = `model-${pad(n + 1)}-of-${pad(count)}.safetensors`;
    const mine = Object.entries(entries).filter((_, i) => i % count === n);
    for (const [tensor] of mine) weightMap[tensor] = name;
    files[name] = shard(mine, metadata, data);
  }
  return { ...files, [SHARD_INDEX]: JSON.stringify({ metadata: { total_size: data.length }, weight_map: weightMap }) };
}

function open(file: Uint8Array): { metadata: Record<string, string>; entries: Record<string, Entry>; data: Uint8Array } {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  return { metadata, entries, data: file.subarray(8 + length) };
}

function shard(tensors: readonly (readonly [string, Entry])[], metadata: Record<string, string>, data: Uint8Array): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: quantisedAmong(metadata, new Set(tensors.map(([name]) => name))) };
  const parts = tensors.map(
    ([
      ,
      {
        data_offsets: [begin, end],
      },
    ]) => data.subarray(begin, end),
  );
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  tensors.forEach(([name, entry], i) => {
    bytes.set(parts[i]!, at);
    header[name] = { ...entry, data_offsets: [at, (at += parts[i]!.length)] };
  });
  return safetensors(header, bytes);
}

/** What the metadata says of these tensors. */
function quantisedAmong(metadata: Record<string, string>, names: ReadonlySet<string>): Record<string, string> {
  const layouts = metadata[QUANT_METADATA];
  if (layouts === undefined) return metadata;
  const own = Object.entries(JSON.parse(layouts) as object).filter(([name]) => names.has(name));
  return { ...metadata, [QUANT_METADATA]: JSON.stringify(Object.fromEntries(own)) };
}

function pad(n: number): string {
  return String(n).padStart(5, "0");
}

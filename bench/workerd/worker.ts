/**
 * The decode bench inside workerd: GET /?format=q4&kv=int8&iterations=4 answers with one run's figures.
 */
import type { WasmBackend } from "../../wasm/backend.ts";
import { createWasmBackend } from "../../wasm/create.ts";
import relaxed from "../../wasm/build/relaxed.wasm";
import simd from "../../wasm/build/simd.wasm";
import type { KvFormat } from "../../wasm/sequence.ts";
import { supportsRelaxedSimd } from "../../wasm/select.ts";
import { decodeRun } from "../decode-run.ts";
import { BENCH_CONFIG, BENCH_LIMIT_BYTES, benchWeights, type BenchFormat } from "../model.ts";

const backends = new Map<string, Promise<WasmBackend>>();

function backend(format: BenchFormat, kv: KvFormat): Promise<WasmBackend> {
  const key = `${format} ${kv}`;
  if (!backends.has(key)) {
    const module = supportsRelaxedSimd() ? relaxed : simd;
    backends.set(
      key,
      createWasmBackend({
        module,
        config: BENCH_CONFIG,
        load: benchWeights(BENCH_CONFIG, format),
        kv,
        bounds: "code",
        limitBytes: BENCH_LIMIT_BYTES,
      }),
    );
  }
  return backends.get(key)!;
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { searchParams } = new URL(request.url);
    const model = await backend(searchParams.get("format") as BenchFormat, searchParams.get("kv") as KvFormat);
    return Response.json(await decodeRun(model, Number(searchParams.get("iterations"))));
  },
};

/**
 * The Wasm backend for Workers, where modules are compiled at deployment. The app never sees this file: other hosts
 * bring their own factory.
 */
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import type { WasmBackend } from "../wasm/backend.ts";
import { createWasmBackend } from "../wasm/create.ts";
import relaxed from "../wasm/build/relaxed.wasm";
import simd from "../wasm/build/simd.wasm";
import { supportsRelaxedSimd } from "../wasm/select.ts";

/** @throws {FathomError} out_of_memory, unavailable, and whatever `load` finds wrong with the checkpoint */
export function createWorkerBackend(config: ModelConfig, load: (sink: WeightSink) => Promise<void>): Promise<WasmBackend> {
  return createWasmBackend({ module: supportsRelaxedSimd() ? relaxed : simd, config, load, bounds: "code" }); // workerd checks bounds in code
}

/**
 * The Wasm core's public surface, for hosts that bring the compiled module: Workers import it, browsers fetch and
 * compile it. On Node fathom-edge/node finds the build by itself.
 */
export type { WasmBackend } from "./backend.ts";
export { createWasmBackend, type WasmBackendOptions } from "./create.ts";
export { sharedWasm, type SharedWasmOptions } from "./shared.ts";
export { supportsRelaxedSimd } from "./select.ts";

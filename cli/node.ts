/**
 * What a Node program embeds the engine with: model folders on disk and the Wasm backend of this host's best build.
 *
 * @example
 * ```ts
 * import { answer, loadModel } from "fathom-edge/engine";
 * import { createNodeWasmBackend, diskFolder, shippedModel } from "fathom-edge/node";
 *
 * const model = await loadModel(diskFolder(shippedModel("nano")), createNodeWasmBackend);
 * ```
 */
export { diskFolder } from "./files.ts";
export { shippedModel } from "./shipped.ts";
export { createNodeWasmBackend } from "../wasm/node.ts";

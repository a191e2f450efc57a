/**
 * The options of the Wasm backend as a schema: a wrong one is a TypeError with its name, before any memory is taken.
 */
import * as v from "valibot";
import type { WeightSink } from "../engine/model/checkpoint.ts";
import type { ModelConfig } from "../engine/model/config.ts";
import { callable, flag, named, oneOf, positive } from "../engine/options.ts";
import type { ReplaceKernels } from "./kernels.ts";

export const moduleOption = v.custom<WebAssembly.Module>(
  (value) => Object.prototype.toString.call(value) === "[object WebAssembly.Module]",
  "a compiled WebAssembly.Module",
);

const config = v.custom<ModelConfig>(
  (value) => typeof value === "object" && value !== null && typeof (value as Partial<ModelConfig>).width === "number",
  "a model's config, as readConfig gives it",
);

export const boundsOption = oneOf(["pages", "code"]);

export const wasmBackendOptions = named({
  module: moduleOption,
  config,
  load: callable<(sink: WeightSink) => Promise<void>>(),
  limitBytes: v.exactOptional(positive()),
  kv: v.exactOptional(oneOf(["f32", "int8"])),
  path: v.exactOptional(oneOf(["u8", "i8", "i16", "plain"])),
  bounds: v.exactOptional(boundsOption),
  share: v.exactOptional(callable<ReplaceKernels>()),
  warm: v.exactOptional(flag()),
});

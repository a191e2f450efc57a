/**
 * Everything that offers the port, each over the same small random model: backends on their own, a scheduler's lane, and
 * failover before and after its primary has gone. Those that need a GPU device are in contract.gpu.ts.
 */
import { FathomError } from "../../engine/errors.ts";
import { withFallback } from "../../engine/failover/fallback.ts";
import { parseConfig } from "../../engine/model/config.ts";
import type { Backend, Inspectable } from "../../engine/port/backend.ts";
import type { BackendFactory } from "../../engine/port/model.ts";
import { createReferenceBackend } from "../../engine/reference/backend.ts";
import { Scheduler } from "../../engine/schedule/scheduler.ts";
import { createWebGpuBackend } from "../../kernels/create.ts";
import { nodeDevice } from "../../kernels/node.ts";
import { createNodeOnnxBackend } from "../../onnx/node.ts";
import { createWasmBackend } from "../../wasm/create.ts";
import { hostPaths } from "../wasm/host.ts";
import { randomWeights } from "../wasm/models.ts";

export const CONFIG = parseConfig({
  model_type: "huginn_raven",
  n_embd: 32,
  num_attention_heads: 2,
  intermediate_size: 64,
  n_layers_in_prelude: 1,
  n_layers_in_recurrent_block: 2,
  n_layers_in_coda: 1,
  vocab_size: 24,
  block_size: 32,
  qk_bias: true,
});

const load = randomWeights(CONFIG);

export interface Implementation {
  readonly name: string;
  /** False where a device only pretends to compute: what comes out is not looked at. [default true] */
  readonly computes?: boolean;
  /** False where last bits depend on how many rows the runtime runs together. [default true] */
  readonly isExact?: boolean;
  /** Its ledger counts buffers that grow by doubling and are kept. [default false] */
  readonly isPooled?: boolean;
  /** One after another; each is another backend. */
  create(): Promise<Backend & Partial<Inspectable>>;
  close?(): Promise<void>;
}

const make = (factory: BackendFactory): Promise<Backend> => factory(CONFIG, load);

/** A factory of backends that go away at their first prelude. */
const leaving: BackendFactory = async (...model) =>
  new Proxy<Backend>(await createReferenceBackend(...model), {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key === "prelude")
        return () => {
          throw new FathomError("unavailable", "The device broke.");
        };
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

/** Its first call has found the primary gone. */
async function failedOver(): Promise<Backend> {
  const backend = await make(withFallback(leaving, createReferenceBackend, () => undefined));
  const sequence = backend.openSequence({
    capacity: 1,
    maxIterations: 1,
    cache: { name: "full", lookup: "full", sharing: { kind: "none" } },
  });
  await backend.prelude([{ sequence, token: 0 }]);
  backend.closeSequence(sequence);
  return backend;
}

function onnx(): Implementation {
  const made: Awaited<ReturnType<typeof createNodeOnnxBackend>>[] = [];
  return {
    name: "onnx",
    isExact: false,
    async create() {
      made.push(await createNodeOnnxBackend(CONFIG, load));
      return made.at(-1)!;
    },
    async close() {
      for (const backend of made) await backend.close();
    },
  };
}

/** Dawn without a device behind it: it takes every call and computes nothing. */
async function nullDevice(): Promise<Implementation> {
  const probe = await nodeDevice(["backend=null"]);
  if ("missing" in probe) throw new Error(probe.missing);
  const { device, close } = probe.found;
  return { name: "webgpu, null device", computes: false, isPooled: true, create: () => createWebGpuBackend(device)(CONFIG, load), close };
}

/** The Wasm paths with an int8 cache, whose numbers are their own. */
export async function wasmInt8(): Promise<Implementation[]> {
  return (await hostPaths()).map(({ name, module, path }) => ({
    name: `wasm ${name}, int8 cache`,
    create: () => createWasmBackend({ module, path, config: CONFIG, load, kv: "int8", warm: false, limitBytes: 8 << 20 }),
  }));
}

/** On this machine, without a GPU. */
export async function implementations(): Promise<Implementation[]> {
  const wasm = (await hostPaths()).map(({ name, module, path }): Implementation => ({
    name: `wasm ${name}`,
    create: () => createWasmBackend({ module, path, config: CONFIG, load, warm: false, limitBytes: 8 << 20 }),
  }));
  return [
    { name: "reference", create: () => createReferenceBackend(CONFIG, load) },
    ...wasm,
    onnx(),
    await nullDevice(),
    // two rows a call: wider ones run in parts
    { name: "lane", create: async () => new Scheduler(await make(createReferenceBackend), { width: 2 }).lane() },
    { name: "failover", create: () => make(withFallback(createReferenceBackend, createReferenceBackend, () => undefined)) },
    { name: "failover, primary gone", create: failedOver },
  ];
}

/** The implementation over a device of the host's. */
export function onDevice(name: string, factory: () => BackendFactory<Backend & Inspectable>): Implementation {
  return { name, isPooled: true, create: () => factory()(CONFIG, load) };
}

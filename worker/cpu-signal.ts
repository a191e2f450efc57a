/**
 * The word of a Wasm core's memory into which workerd writes 24 when the CPU limit of the running request is near.
 * Only the Wasm backend has one.
 */
import type { Backend } from "../engine/port/backend.ts";
import type { SignalWord } from "../engine/budget/cpu-limit.ts";

/** The parts of a WasmBackend that matter here, so that other backends do not bring its code along. */
interface WithSignal {
  readonly arena: { readonly words: Uint32Array };
  readonly kernels: { readonly run: { readonly __instance_signal: WebAssembly.Global } };
}

export function cpuSignal(backend: Backend): SignalWord | undefined {
  const { arena, kernels } = backend as Partial<WithSignal>;
  if (arena === undefined || kernels?.run.__instance_signal === undefined) return undefined;
  const index = Number(kernels.run.__instance_signal.value) / 4;
  return { read: () => arena.words[index]!, clear: () => void (arena.words[index] = 0) };
}

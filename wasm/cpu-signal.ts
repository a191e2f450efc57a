/**
 * The word of the core's memory into which workerd writes 24 when the CPU limit of the running request is near: the
 * module exports its address as `__instance_signal`.
 */
import type { SignalWord } from "../engine/cpu-signal.ts";
import type { Arena } from "./arena.ts";
import type { Kernels } from "./kernels.ts";

export function cpuSignalOf(arena: Arena, kernels: Kernels): SignalWord {
  const index = Number(kernels.run.__instance_signal.value) / 4;
  return { read: () => arena.words[index]!, clear: () => void (arena.words[index] = 0) };
}

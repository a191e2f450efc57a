/**
 * Models that run on one backend as long as it can, and on another after.
 */
import type { WeightSink } from "../model/checkpoint.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Backend } from "../port/backend.ts";
import type { BackendFactory } from "../port/model.ts";
import { FailoverBackend, isGone } from "./backend.ts";
import type { Watchdog } from "./watchdog.ts";

/**
 * A factory that tries the primary backend and falls back: at once where it cannot take the model, later where it goes away.
 * The checkpoint is then read again.
 * @param log gets one line for every change
 * @param watchdog after how long a call that does not end counts as the primary's death [default never]
 * @example
 * const model = await loadModel(folder, withFallback(createWebGpuBackend(device), createNodeWasmBackend, console.error));
 */
export function withFallback<P extends Backend>(
  primary: BackendFactory<P>,
  fallback: BackendFactory,
  log: (line: string) => void,
  watchdog?: Watchdog,
): BackendFactory {
  return async (config: ModelConfig, load: (sink: WeightSink) => Promise<void>) => {
    const open = (): Promise<Backend> => fallback(config, load);
    try {
      return new FailoverBackend(await primary(config, load), open, log, watchdog);
    } catch (error) {
      if (!isGone(error)) throw error;
      log(`The primary backend cannot run this model: ${(error as Error).message} The fallback runs it.`);
      return open();
    }
  };
}

/**
 * The page's own engine, where the server gives it and the model's files away: loaded once, when it is first asked.
 */
import type { Engine, EngineOptions } from "../engine.ts";

/** Where `fathom serve --playground` has everything that the engine fetches. */
export const PLAYGROUND = "/playground/";

export interface EngineHere {
  /** Whether the server gives the engine and the model away. */
  isOffered(): Promise<boolean>;
  /** The engine; the same one for every call. A load that failed is tried again. */
  open(log: (line: string) => void): Promise<Engine>;
}

type OpenEngine = (options: EngineOptions) => Promise<Engine>;

/**
 * @param ask    as the page's other requests
 * @param load   gets the engine's module
 * @param search the page's own query: ?gpu=software takes a GPU that the CPU plays
 */
export function engineHere(
  ask: (path: string, init?: RequestInit) => Promise<Response>,
  load: () => Promise<{ openEngine: OpenEngine }>,
  search: string,
): EngineHere {
  let engine: Promise<Engine> | undefined;
  const allowSoftware = new URLSearchParams(search).get("gpu") === "software";
  return {
    async isOffered() {
      const response = await ask(`${PLAYGROUND}model/config.json`, { method: "HEAD" }).catch(() => undefined);
      return response?.ok === true;
    },
    open(log) {
      engine ??= load()
        .then(({ openEngine }) => openEngine({ model: `${PLAYGROUND}model/`, wasm: `${PLAYGROUND}wasm/`, allowSoftware, log }))
        .catch((error: unknown) => {
          engine = undefined;
          throw error;
        });
      return engine;
    },
  };
}

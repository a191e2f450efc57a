/**
 * fathom serve: the app that Workers serve, on Node, where WebGPU may be found. The same routes, the same answers.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { createApp } from "../worker/app.ts";
import { parseApiKeys } from "../worker/keys.ts";
import { choice, list, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { lingering } from "./linger.ts";
import { ALLOW_HOSTS, hostNames } from "./host-names.ts";
import { LIMITS, parseLimits } from "./limits.ts";
import { checkPort, GracefulEnd, listenError, urlOf } from "./listen.ts";
import { BACKENDS, DEFAULT_MODEL, CORE, loadNodeModel, modelPath } from "./models.ts";
import { OPEN, refuseOpen } from "./open-server.ts";
import { addOpenApi, addPage, addPlayground, PLAYGROUND_PATH } from "./playground.ts";
import { warmUp } from "./warm-up.ts";

export const serveCommand = defineCommand({
  meta: { name: "serve", description: "Serve the API on Node" },
  examples: ["fathom serve --port 8788 --api-keys k1,k2", "fathom serve --model ./my-model --backend wasm --playground"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    backend: { type: "string", default: "auto", description: BACKENDS.join(" or ") },
    ...CORE,
    port: { type: "string", default: "8788", description: "port to listen on" },
    host: { type: "string", default: "127.0.0.1", description: "address to listen on" },
    "api-keys": { type: "string", description: "bearer keys that open /v1, comma-separated [none are asked for on this machine]" },
    open: OPEN,
    aliases: { type: "string", description: "further names that the model answers to, comma-separated, such as jev-latest" },
    "allow-hosts": ALLOW_HOSTS,
    json: { type: "boolean", default: false, description: "say where it serves as one JSON object" },
    limits: LIMITS,
    playground: {
      type: "boolean",
      default: false,
      description: `a page at ${PLAYGROUND_PATH} that runs the model in the browser; makes the model's files public`,
    },
  },
  async run({ args }) {
    const port = wholeNumber("--port", args.port, 0, 65535);
    const backend = choice("--backend", args.backend, BACKENDS);
    const apiKeys = args["api-keys"] === undefined ? undefined : parseApiKeys(args["api-keys"], "--api-keys");
    const allowedHosts = hostNames(args.host, args["allow-hosts"]);
    const limits = args.limits === undefined ? undefined : parseLimits(args.limits);
    const names = args.aliases === undefined ? [] : list("--aliases", args.aliases);
    if (apiKeys === undefined && !args.open) await refuseOpen(args.host, "give --api-keys, or --open if that is meant");
    if (port !== 0) await checkPort(args.host, port);
    const model = await loadNodeModel(args.model, backend, args);
    const aliases = Object.fromEntries(names.map((name) => [name, model.card.id]));
    const app = createApp({ model, aliases, apiKeys, allowedHosts, limits });
    addOpenApi(app);
    addPage(app);
    if (args.playground) addPlayground(app, modelPath(args.model));
    const server = createAdaptorServer({ fetch: lingering(app.fetch), autoCleanupIncoming: false }) as Server;
    const graceful = new GracefulEnd(server);
    await warmUp(app, model.card.id, apiKeys?.[0]);
    await listen(server, args.host, port);
    const url = urlOf(args.host, (server.address() as AddressInfo).port);
    if (args.json) console.log(JSON.stringify({ url, model: model.card.id, backend: model.backend.name }));
    else {
      console.log(`Fathom serves ${model.card.id} on the ${model.backend.name} backend at ${url}`);
      console.log(args.playground ? `It runs in the browser, too: ${url}${PLAYGROUND_PATH}` : `A page to try it: ${url}`);
    }
    await stopSignal();
    await graceful.end();
  },
});

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, host, port)));
    server.listen(port, host, resolve);
  });
}

/** The first signal lets answers finish; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

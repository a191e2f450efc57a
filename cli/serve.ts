/**
 * fathom serve: the app that Workers serve, on Node, where WebGPU may be found. The same routes, the same answers.
 */
import { serve } from "@hono/node-server";
import { createApp } from "../worker/app.ts";
import { choice, wholeNumber } from "./arguments.ts";
import { defineCommand } from "./command.ts";
import { BACKENDS, DEFAULT_MODEL, loadNodeModel, modelPath } from "./models.ts";
import { addPlayground, PLAYGROUND_PATH } from "./playground.ts";

export const serveCommand = defineCommand({
  meta: { name: "serve", description: "Serve the API on Node" },
  examples: ["fathom serve --port 8788 --api-keys k1,k2", "fathom serve --model ./my-model --backend wasm --playground"],
  args: {
    model: { type: "string", default: DEFAULT_MODEL, description: "a model folder, or the name of a shipped model" },
    backend: { type: "string", default: "auto", description: BACKENDS.join(" or ") },
    port: { type: "string", default: "8788", description: "port to listen on" },
    host: { type: "string", default: "127.0.0.1", description: "address to listen on" },
    "api-keys": { type: "string", description: "bearer keys that open /v1, comma-separated [open to everyone]" },
    playground: {
      type: "boolean",
      default: false,
      description: `a page at ${PLAYGROUND_PATH} that runs the model in the browser; makes the model's files public`,
    },
  },
  async run({ args }) {
    const model = await loadNodeModel(args.model, choice("--backend", args.backend, BACKENDS));
    const apiKeys = args["api-keys"]?.split(",").filter((key) => key !== "");
    const app = createApp({ model, apiKeys });
    if (args.playground) addPlayground(app, modelPath(args.model));
    const server = serve({ fetch: app.fetch, port: wholeNumber("--port", args.port, 0, 65535), hostname: args.host }, ({ port }) => {
      console.log(`Fathom serves ${model.card.id} on the ${model.backend.name} backend at http://${args.host}:${port}`);
      if (args.playground) console.log(`It runs in the browser at http://${args.host}:${port}${PLAYGROUND_PATH}`);
    });
    await new Promise<void>((resolve, reject) => {
      server.on("error", reject);
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => server.close(() => resolve()));
    });
  },
});

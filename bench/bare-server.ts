/**
 * Serves bare-app.ts on a free port of this machine, as `fathom serve` serves the API; says where on standard output.
 */
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { lingering } from "../cli/linger.ts";
import app from "./bare-app.ts";

serve({ fetch: lingering(app.fetch), autoCleanupIncoming: false, port: 0, hostname: "127.0.0.1" }, ({ port }: AddressInfo) =>
  console.log(`http://127.0.0.1:${port}`),
);

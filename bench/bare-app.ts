/**
 * A Hono app that refuses every request at once and reads nothing of it: what a host and the way there and back take of a
 * refusal's time, as a Worker; bare-server.ts serves it on Node.
 */
import { Hono } from "hono";

const app = new Hono();
app.all("*", (c) =>
  c.json({ error: { message: "Too large.", type: "invalid_request_error", param: null, code: "request_too_large" } }, 413),
);
export default app;

/**
 * A guard in front of something: POST /guard {"input": "..."} is answered with a ruling; whatever is posted below
 * /guarded/ passes only with an input that is allowed.
 */
import { Hono } from "hono/tiny";
import { bearerAuth } from "hono/bearer-auth";
import { createMiddleware } from "hono/factory";
import { rule } from "./guard";
import { apiKeys } from "./keys";

const app = new Hono<{ Bindings: Cloudflare.Env }>();
app.use(bearerAuth({ token: apiKeys() }));

app.post("/guard", async (c) => {
  const { input } = await c.req.json<{ input: unknown }>();
  const ruling = await rule(input, c);
  return ruling instanceof Response ? ruling : c.json(ruling);
});

/** Refuses with 403 what the policy does not allow. */
const guarded = createMiddleware<{ Bindings: Cloudflare.Env }>(async (c, next) => {
  const { input } = await c.req.json<{ input: unknown }>();
  const ruling = await rule(input, c);
  if (ruling instanceof Response) return ruling;
  if (!ruling.allowed) return c.json({ error: { message: "The policy does not allow this input.", ...ruling } }, 403);
  await next();
});

/** What is guarded: put your own handler here, or pass the request on to a service binding. */
app.post("/guarded/*", guarded, async (c) => c.json({ passed: await c.req.json() }));

export default app;

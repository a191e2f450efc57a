/**
 * The Worker of index.ts as `wrangler dev` runs it: what nobody has read of a body is read away, as wrangler's own bundling
 * has it, because local workerd cuts the connection of an answer whose request is left half read. Not deployed: the
 * platform does that.
 */
import app from "./index.ts";

export { Fathom } from "./index.ts";

async function readAway({ body, bodyUsed }: Request): Promise<void> {
  if (body === null || bodyUsed || body.locked) return;
  const reader = body.getReader();
  while (!(await reader.read()).done);
}

export default {
  async fetch(request, env, context) {
    try {
      return await app.fetch(request, env, context);
    } finally {
      await readAway(request).catch(() => undefined); // its caller has gone
    }
  },
} satisfies ExportedHandler<Cloudflare.Env>;

/**
 * Answers given before a request's body was read (too large, no key, no such path): what is left of the body is read away
 * beside them, or first. A connection that is closed over unread bytes is reset, and the answer is lost with it; the
 * adapter's own cleaning up (autoCleanupIncoming) closes it after half a second, and is to be off.
 */
import type { Http2Bindings, HttpBindings } from "@hono/node-server";

/** The most that is read away of one body. */
const MOST_BYTES = 64 << 20;
/** The longest that a caller is waited for. */
const MOST_MS = 5000;

type Fetch = (request: Request, env: HttpBindings | Http2Bindings) => Response | Promise<Response>;

/**
 * `fetch` for a Node server, whose answers arrive however large the request was. A body that nobody has begun to read is
 * read away while the answer leaves, any other before. What exceeds the bounds is cut off.
 */
export function lingering(fetch: Fetch): Fetch {
  return async (request, env) => {
    const response = await fetch(request, env);
    const { method } = request;
    const { incoming } = env;
    if (method === "GET" || method === "HEAD" || incoming.readableEnded) return response;
    // the server closes such a connection as soon as it has answered
    const isLast = incoming.httpVersion === "1.0" || /close/i.test(incoming.headers.connection ?? "");
    if (!isLast && incoming.readableFlowing === null && incoming.readableDidRead === false) {
      discard(incoming);
      return response;
    }
    if (await readAway(request)) return response;
    const headers = new Headers(response.headers);
    headers.set("Connection", "close");
    return new Response(response.body, { status: response.status, headers });
  };
}

/** Reads away what comes, beside whatever else is done. */
function discard(incoming: (HttpBindings | Http2Bindings)["incoming"]): void {
  let bytes = 0;
  const cut = (): void => incoming.socket.destroySoon();
  const deadline = setTimeout(cut, MOST_MS);
  incoming.on("data", ({ length }: Buffer) => {
    bytes += length;
    if (bytes > MOST_BYTES) cut();
  });
  for (const event of ["end", "close", "error"]) incoming.once(event, () => clearTimeout(deadline));
}

/** Whether nothing is left. A body that somebody is still reading is theirs. */
async function readAway({ body }: Request): Promise<boolean> {
  if (body === null || body.locked) return true;
  const reader = body.getReader();
  const deadline = setTimeout(() => void reader.cancel().catch(() => undefined), MOST_MS);
  try {
    for (let bytes = 0; bytes <= MOST_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return true;
      bytes += value.length;
    }
    return false;
  } catch {
    return true; // the caller has gone
  } finally {
    clearTimeout(deadline);
    reader.releaseLock();
  }
}

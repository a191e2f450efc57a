/**
 * Requests that a server makes to itself before it listens, so that its first callers find compiled code and a known pace:
 * without them, thirty callers at once wait some 130 ms for the first of their turns.
 */

/** What warming up takes at most, beyond the requests under way, in milliseconds. */
const MOST_MS = 500;

/** Requests at once, and how often. */
const [AT_ONCE, ROUNDS] = [8, 8];

/** Where the requests go. */
export interface WarmedApp {
  request(path: string, init: RequestInit): Response | Promise<Response>;
}

/**
 * Sends small requests of the usual kinds, and reads their answers. What they say does not matter: a refusal warms, too.
 * @param key a bearer key that opens the app, where it asks for one
 */
export async function warmUp(app: WarmedApp, model: string, key?: string): Promise<void> {
  const startMs = performance.now();
  const headers = { "content-type": "application/json", ...(key !== undefined && { authorization: `Bearer ${key}` }) };
  for (let round = 0; round < ROUNDS && performance.now() - startMs < MOST_MS; round++)
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, i) => {
        // a cap on iterations keeps what these need from counting as what requests need
        const shared = {
          model,
          max_completion_tokens: 2,
          stream: i % 2 === 0,
          budget: { iterations: 2, ...(i % 4 < 2 && { latency_ms: 60_000 }) },
        };
        const [path, body] =
          i % 3 === 2
            ? ["/v1/completions", { ...shared, prompt: "One and one is" }]
            : ["/v1/chat/completions", { ...shared, messages: [{ role: "user", content: "What is one and one?" }] }];
        const response = await app.request(path as string, { method: "POST", headers, body: JSON.stringify(body) });
        await response.text();
      }),
    );
}

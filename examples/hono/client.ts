/**
 * Hono's client, typed by the app it calls: bodies, answers and refusals alike.
 *   node client.ts http://127.0.0.1:8787
 */
import { hc } from "hono/client";
import type { AppType } from "./src/index.ts";

const client = hc<AppType>(process.argv[2] ?? "http://127.0.0.1:8787");

const response = await client.ai.v1.chat.completions.$post({
  json: {
    model: "nano",
    messages: [{ role: "user", content: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?" }],
    budget: { iterations: 8 },
  },
});
if (!response.ok) throw new Error((await response.json()).error.message);
const { choices, usage, budget } = await response.json();
console.log(choices[0]?.message.content, `after ${usage.iterations.total} iterations of ${budget.granted.iterations} a token`);

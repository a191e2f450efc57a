/**
 * OpenAI's client with a budget, typed by one import.
 *   node ask.ts http://127.0.0.1:8787 [KEY]
 */
import OpenAI from "openai";
import "fathom-edge/openai";

const [url = "http://127.0.0.1:8787", apiKey = "unused"] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey });

const question = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const { choices, usage, budget } = await client.chat.completions.create({
  model: "nano",
  messages: [{ role: "user", content: question }],
  budget: { iterations: 8, on_exhausted: "degrade" },
});
console.log(choices[0]?.message.content, `after ${usage?.iterations?.total} iterations of ${budget?.granted.iterations} a token`);

const stream = await client.chat.completions.create({
  model: "nano",
  messages: [{ role: "user", content: question }],
  stream: true,
  stream_options: { include_usage: true },
  budget: { latency_ms: 5000 },
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  if (chunk.budget !== undefined) console.log(` (limited by ${chunk.budget.limited_by ?? "nothing"})`);
}

/**
 * Vercel's AI SDK: the budget goes with providerOptions, and what was granted and spent comes back in providerMetadata.
 *   node ask.ts http://127.0.0.1:8787 [KEY]
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { budgetMetadata } from "fathom-edge/ai-sdk";

const [url = "http://127.0.0.1:8787", apiKey = "unused"] = process.argv.slice(2);
const fathom = createOpenAICompatible({
  name: "fathom",
  baseURL: `${url}/v1`,
  apiKey,
  includeUsage: true,
  metadataExtractor: budgetMetadata,
});

const prompt = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const { text, providerMetadata } = await generateText({
  model: fathom("nano"),
  prompt,
  providerOptions: { fathom: { budget: { iterations: 8 } } },
});
console.log(text, JSON.stringify(providerMetadata?.["fathom"]));

const streamed = streamText({ model: fathom("nano"), prompt, providerOptions: { fathom: { budget: { latency_ms: 5000 } } } });
for await (const piece of streamed.textStream) process.stdout.write(piece);
console.log("", JSON.stringify((await streamed.providerMetadata)?.["fathom"]));

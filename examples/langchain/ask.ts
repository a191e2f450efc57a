/**
 * LangChain by base URL, with a budget for every call of the model.
 *   node ask.ts http://127.0.0.1:8787 [KEY]
 */
import { ChatOpenAI } from "@langchain/openai";

const [url = "http://127.0.0.1:8787", apiKey = "unused"] = process.argv.slice(2);
const model = new ChatOpenAI({
  model: "nano",
  apiKey,
  configuration: { baseURL: `${url}/v1` },
  modelKwargs: { budget: { iterations: 8 } },
});

const question = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";
const answer = await model.invoke(question);
console.log(answer.text, JSON.stringify(answer.usage_metadata));

let streamed = "";
for await (const chunk of await model.stream(question)) streamed += chunk.text;
console.log(streamed);

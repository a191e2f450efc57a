/**
 * The app on a GPU that fails: lost in the middle of a stream, out of memory, or never there. The same request goes on
 * through Wasm, with the events that Wasm alone would have sent, and one line in the log.
 */
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { loadModel, type BackendFactory } from "../../engine/port/model.ts";
import { gpuFirst, withFallback } from "../../kernels/index.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { createApp } from "../../worker/app.ts";
import { describeOnDevice } from "./device.ts";

const FOLDER = diskFolder(fileURLToPath(new URL("../../models/nano", import.meta.url)));
const createWasm: BackendFactory = (config, load) => createNodeWasmBackend(config, load, { kv: "f32" });
const QUESTION = "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?";

interface Answer {
  /** Of every event that has some. */
  readonly texts: readonly string[];
  readonly completionTokens: number;
  /** What ran at the end. */
  readonly backend: string;
}

/** Streams an answer of eight tokens; `onText` is called after each event with text. */
async function stream(factory: BackendFactory, onText: (count: number) => void = () => undefined): Promise<Answer> {
  const loaded = await loadModel(FOLDER, factory);
  const model = { ...loaded, config: { ...loaded.config, eosTokens: [] } }; // it goes on behind its answer
  const response = await createApp({ model }).request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "nano",
      messages: [{ role: "user", content: QUESTION }],
      max_completion_tokens: 8,
      budget: { iterations: 3, exit: { criterion: "none" } },
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  expect(response.status).toBe(200);
  const texts: string[] = [];
  let [held, completionTokens] = ["", 0];
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    held += part;
    const events = held.split("\n\n");
    held = events.pop()!;
    for (const event of events.filter((e) => e.startsWith("data: {"))) {
      const { choices, usage } = JSON.parse(event.slice("data: ".length));
      if (choices[0]?.delta.content) onText(texts.push(choices[0].delta.content));
      completionTokens = usage?.completion_tokens ?? completionTokens;
    }
  }
  return { texts, completionTokens, backend: loaded.backend.name };
}

describeOnDevice("a stream of the app", (host) => {
  const alone = stream(createWasm);
  const failures: [name: string, open: (log: string[]) => Promise<Answer>, line: string, backend: string][] = [
    ["runs on the GPU", (log) => stream(withFallback(host.backend(), createWasm, (line) => log.push(line))), "", "webgpu"],
    [
      "goes on through Wasm where there is no adapter",
      (log) => stream(gpuFirst({ missing: "there is none" }, createWasm, (line) => log.push(line))),
      "No WebGPU here, because there is none.",
      "wasm",
    ],
    [
      "goes on through Wasm where the GPU is out of memory",
      async (log) => {
        const { backend } = await loadModel(FOLDER, host.backend());
        const limitBytes = backend.memory().usedBytes + 1000;
        return stream(withFallback(host.backend({ limitBytes }), createWasm, (line) => log.push(line)));
      },
      "bytes allowed on the GPU are in use",
      "wasm",
    ],
    [
      "goes on through Wasm where the GPU is lost in the middle",
      (log) =>
        stream(
          withFallback(host.backend(), createWasm, (line) => log.push(line)),
          (count) => count === 1 && host.gpu.destroy(),
        ),
      "The webgpu backend went away: The GPU device was lost",
      "wasm",
    ],
  ];
  it.each(failures)("%s", async (_, open, line, backend) => {
    const log: string[] = [];
    const { texts, completionTokens } = await alone;
    expect(texts.length).toBeGreaterThan(3);
    expect(await open(log)).toEqual({ texts, completionTokens, backend });
    expect(completionTokens).toBe(8);
    if (line === "") expect(log).toEqual([]);
    else expect(log).toEqual([expect.stringContaining(line)]);
  });
});

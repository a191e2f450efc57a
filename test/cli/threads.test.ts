/**
 * Threads on the command line: as many as asked for are started, and answers are the same by any number.
 */
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { loadNodeModel, type NodeBackend } from "../../cli/models.ts";
import { parseCacheStrategy } from "../../engine/cache-strategy.ts";
import { NEVER_EXIT } from "../../engine/exit-rule.ts";
import { generate } from "../../engine/decode/generate.ts";

describe("--threads", () => {
  it("starts the others beside the caller's own, and leaves the answer as it is", async () => {
    let started = 0;
    const count = (worker: Worker): void => void (worker instanceof Worker && started++);
    process.on("worker", count);
    const answers = await Promise.all(
      [undefined, "3"].map(async (threads) => {
        const { backend, config } = await loadNodeModel("nano", "wasm", { threads });
        const options = { prompt: [5, 6, 7], maxTokens: 4, iterations: 4, exit: NEVER_EXIT, cache: parseCacheStrategy("full") };
        const tokens: number[] = [];
        for await (const { token } of generate(backend, { ...options, stopTokens: new Set(config.eosTokens) })) tokens.push(token);
        return tokens;
      }),
    );
    process.off("worker", count);
    expect(started).toBe(2);
    expect(answers[1]).toEqual(answers[0]);
  });

  it.each(["0", "65", "two", "1.5", ""])("is refused as %j", async (threads) => {
    const refusal = { code: "invalid_request", param: "--threads", message: expect.stringContaining("a whole number from 1 to 64") };
    await expect(loadNodeModel("nano", "wasm", { threads })).rejects.toMatchObject(refusal);
  });

  it.each<NodeBackend>(["reference", "onnx"])("is refused where there is no Wasm core: %s", async (backend) => {
    await expect(loadNodeModel("nano", backend, { threads: "2" })).rejects.toMatchObject({ code: "invalid_request", param: "--threads" });
  });
});

/**
 * The memory limit on the command line: how it is written, what it limits, and what is said where a model has no room.
 */
import { describe, expect, it } from "vitest";
import { memoryBytes } from "../../cli/arguments.ts";
import { explain } from "../../cli/explain.ts";
import { loadNodeModel, type NodeBackend } from "../../cli/models.ts";
import { createNodeWasmBackend } from "../../wasm/node.ts";
import { randomWeights, SMALL } from "../wasm/models.ts";

const MIB = 2 ** 20;

describe("--memory", () => {
  it("takes bytes, and units of 1024", () => {
    const values = { "2GiB": 2048, "512MiB": 512, "512m": 512, "1.5 GB": 1536, "4g": 4096, "131072k": 128, "67108864": 64, "1mib": 1 };
    for (const [text, mebibytes] of Object.entries(values)) expect(memoryBytes("--memory", text), text).toBe(mebibytes * MIB);
  });

  it.each(["", "2TiB", "5GiB", "0", "1KiB", "-1GiB", "2Gib ish", "GiB", "1e9", "NaN", "Infinity"])("refuses %j by name", (text) => {
    expect(() => memoryBytes("--memory", text)).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "--memory", message: expect.stringContaining("such as 512MiB or 2GiB") }),
    );
  });

  it("limits the core, which else may take more than an isolate", async () => {
    expect((await loadNodeModel("nano", "wasm", { memory: "64MiB" })).backend.memory().limitBytes).toBe(64 * MIB);
    expect((await loadNodeModel("nano", "wasm")).backend.memory().limitBytes).toBeGreaterThan(96 * MIB);
  });

  it.each<NodeBackend>(["reference", "onnx"])("is refused where there is no Wasm core to limit: %s", async (backend) => {
    await expect(loadNodeModel("nano", backend, { memory: "64MiB" })).rejects.toMatchObject({ code: "invalid_request", param: "--memory" });
  });

  it("is named where a model has no room: the limit, how to raise it, what else helps", async () => {
    for (let kibibytes = 64; kibibytes <= 320; kibibytes += 64) {
      const load = createNodeWasmBackend(SMALL, randomWeights(SMALL), { limitBytes: kibibytes * 1024, warm: false });
      const error = await load.then(
        (backend) => `${kibibytes} KiB were enough: ${JSON.stringify(backend.memory())}`,
        (e: unknown) => e,
      );
      expect(error).toMatchObject({ code: "out_of_memory" });
      expect(explain("fathom ask", error)).toMatch(/limit.*smaller quantisation\. --memory raises the limit, up to 4GiB\.$/);
    }
  });
});

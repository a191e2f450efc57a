/**
 * The entrypoint for other Workers: the same answers in Workers AI's shape, without HTTP.
 */
import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { Fathom as Entrypoint } from "../../worker/index.ts";
import { hostClock } from "../../worker/host.ts";
import type { RunInputs, RunResult } from "../../worker/rpc.ts";
import { inflowOf } from "../../worker/schedulers.ts";
import { chat, LIAR, MODEL, post, timeless, worker } from "./support.ts";

interface FathomBinding {
  run(model: string, inputs: RunInputs & { stream: true }): Promise<ReadableStream<Uint8Array>>;
  run(model: string, inputs: RunInputs): Promise<RunResult>;
}

const { Fathom } = exports as unknown as { Fathom: FathomBinding };
const messages = [{ role: "user", content: LIAR }];

describe("Fathom.run", () => {
  it("gives the answer of the HTTP route, with its costs", async () => {
    const http = (await (await post(worker, "/v1/chat/completions", chat())).json()) as any;
    const result = await Fathom.run(MODEL, { messages });
    expect(result.response).toBe(http.choices[0].message.content);
    expect(result.finish_reason).toBe("stop");
    expect(result.usage).toEqual(http.usage);
    expect(timeless(result.budget)).toEqual(timeless(http.budget));
  });

  it("takes a prompt in place of messages, and a budget", async () => {
    const { response, usage } = (await Fathom.run(MODEL, { prompt: `${LIAR}\nAnswer:`, budget: { iterations: 2 } })) as RunResult & {
      usage: any;
    };
    expect(response).toMatch(/^ /);
    expect(usage.iterations.max).toBe(2);
  });

  it("streams events with a piece of the response each, the costs in the last", async () => {
    const plain = await Fathom.run(MODEL, { messages });
    const stream = await Fathom.run(MODEL, { messages, stream: true });
    const data = (await new Response(stream).text())
      .split("\n\n")
      .filter(Boolean)
      .map((event) => event.replace(/^data: /, ""));
    expect(data.at(-1)).toBe("[DONE]");
    const parts = data.slice(0, -1).map((d) => JSON.parse(d));
    expect(parts.map((p) => p.response).join("")).toBe(plain.response);
    expect(parts.at(-1).usage).toEqual(plain.usage);
    expect(timeless(parts.at(-1).budget)).toEqual(timeless(plain.budget));
  });

  it("refuses what the HTTP route refuses, with the same words", async () => {
    const direct = new Entrypoint(createExecutionContext(), env as never); // workerd reports what crosses a binding as uncaught
    await expect(direct.run(MODEL, { messages, budget: { iterations: 0 } })).rejects.toMatchObject({
      code: "invalid_value",
      param: "budget.iterations",
    });
    const cycle: unknown[] = [];
    cycle.push(cycle);
    let shared: unknown[] = [];
    for (let i = 0; i < 100; i++) shared = [shared, shared];
    for (const tools of [cycle, shared])
      await expect(direct.run(MODEL, { messages, tools } as never)).rejects.toMatchObject({ status: 400, code: "nested_too_deep" });
    await expect(direct.run(MODEL, { messages, seed: 5n } as never)).rejects.toMatchObject({ status: 400, param: "seed" });
    for (const inputs of [null, undefined, 7, "text"])
      await expect(direct.run(MODEL, inputs as never)).rejects.toMatchObject({ status: 400 });
    await expect(direct.run("gpt-4o", { messages })).rejects.toMatchObject({ code: "model_not_found", param: "model" });
  });

  it("takes no time from others once it has refused, whatever for", async () => {
    const inflow = inflowOf(hostClock);
    const direct = new Entrypoint(createExecutionContext(), env as never);
    await expect(direct.run(MODEL, null as never)).rejects.toMatchObject({ status: 400 });
    await expect(direct.run("gpt-4o", { messages })).rejects.toMatchObject({ code: "model_not_found" });
    await expect(direct.decide("gpt-4o", { input: "x", questions: [] } as never)).rejects.toMatchObject({ status: 400 });
    const [first, second] = [inflow.came(), inflow.came()];
    expect(inflow.comingMs).toBe(inflow.eachMs.head);
    inflow.judged(first);
    inflow.judged(second);
  });
});

/**
 * Several models in one memory: loaded when they are asked for, taken out when room is wanted, the one that was asked for
 * longest ago first, never one that is answering; the memory is back to the byte.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { diskFolder } from "../../cli/files.ts";
import { modelPath } from "../../cli/models.ts";
import { loadModel } from "../../engine/port/model.ts";
import { createApp } from "../../worker/app.ts";
import { modelPool, type PooledModel, type PoolLoad } from "../../worker/model-source.ts";
import { readWasmModule } from "../../wasm/node.ts";
import { sharedWasm } from "../../wasm/shared.ts";

const NAMES = ["a", "b", "c", "d"] as const;
type Name = (typeof NAMES)[number];
const MIB = 2 ** 20;
const QUESTIONS = [
  "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?",
  "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?",
  "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Does Cem tell the truth?",
];
const folder = diskFolder(modelPath("nano"));

let module: WebAssembly.Module;
/** Bytes of the kernels, and of a model with no request. */
let [fixedBytes, modelBytes] = [0, 0];
beforeAll(async () => {
  module = await readWasmModule();
  const memory = sharedWasm({ module, limitBytes: 64 * MIB });
  fixedBytes = memory.usedBytes;
  await poolIn(memory).models.a({});
  modelBytes = memory.usedBytes - fixedBytes;
});

type Loads = Partial<Record<Name, (given: PoolLoad<object, Name>) => ReturnType<typeof loadModel>>>;

function poolIn(memory: ReturnType<typeof sharedWasm>, loads: Loads = {}) {
  const loaded: Name[] = [];
  const models = modelPool<object, Name>(
    NAMES,
    (given) => {
      loaded.push(given.name);
      return (loads[given.name] ?? (({ createBackend }) => loadModel(folder, createBackend)))(given);
    },
    memory,
  );
  return { memory, models, loaded, app: createApp({ models, prefixCache: { maxBytes: 0 } }) };
}

/** A pool with room for so many models at once, and some for requests. */
function poolFor(count: number, { requestBytes = MIB / 2, ...loads }: Loads & { requestBytes?: number } = {}) {
  return poolIn(sharedWasm({ module, limitBytes: fixedBytes + count * modelBytes + requestBytes }), loads);
}

type App = ReturnType<typeof createApp>;

async function post(app: App, model: string, question = QUESTIONS[0]!, more: object = {}): Promise<Response> {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: question }], ...more });
  return app.request("/v1/chat/completions", { method: "POST", headers: { "content-type": "application/json" }, body });
}

async function answer(app: App, model: string, question?: string): Promise<string> {
  const response = await post(app, model, question);
  const body = (await response.json()) as { choices?: { message: { content: string } }[]; error?: { code: string; message: string } };
  return body.choices?.[0]?.message.content ?? `${response.status} ${body.error!.code}: ${body.error!.message}`;
}

const statuses = (models: Record<string, PooledModel<object>>): string[] => NAMES.map((name) => models[name]!.state().status);

describe("several models in one memory", { timeout: 120_000 }, () => {
  it("are loaded when they are asked for, and taken out in the order in which they were asked for last", async () => {
    const { app, models, memory, loaded } = poolFor(2);
    expect(statuses(models)).toEqual(["not_loaded", "not_loaded", "not_loaded", "not_loaded"]);
    expect([await answer(app, "a"), await answer(app, "b"), await answer(app, "a")]).toEqual(["Yes", "Yes", "Yes"]);
    expect(memory.usedBytes).toBe(fixedBytes + 2 * modelBytes);
    expect(await answer(app, "c")).toBe("Yes"); // b was asked for before a
    expect(statuses(models)).toEqual(["ready", "evicted", "ready", "not_loaded"]);
    expect(await answer(app, "b")).toBe("Yes");
    expect(statuses(models)).toEqual(["evicted", "ready", "ready", "not_loaded"]);
    expect(loaded).toEqual(["a", "b", "c", "b"]);
    expect(memory.usedBytes).toBe(fixedBytes + 2 * modelBytes);
  });

  it("never lose one that is answering: the newcomer is refused with its name, and comes in later", async () => {
    const { app, models, memory } = poolFor(2);
    const held = await Promise.all((["a", "b"] as const).map((name) => models[name].lease({})));
    const refused = await post(app, "c");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(((await refused.json()) as { error: object }).error).toMatchObject({
      code: "out_of_memory",
      message: "There is no room for the model c now, while a and b answer others; try again later.",
    });
    expect(memory.usedBytes).toBe(fixedBytes + 2 * modelBytes);
    held[1]!.release();
    held[1]!.release(); // counts once
    expect(await answer(app, "c")).toBe("Yes");
    expect(statuses(models)).toEqual(["ready", "evicted", "ready", "not_loaded"]);
    held[0]!.release();
  });

  it("keep a model through a stream, to its end or until its reader goes", async () => {
    const { app, models } = poolFor(1);
    for (const isRead of [true, false]) {
      const stream = (await post(app, "a", QUESTIONS[1], { stream: true })).body!.getReader();
      const first = new TextDecoder().decode((await stream.read()).value);
      expect(first).toContain('"role":"assistant"');
      expect(await answer(app, "b")).toMatch(/^503 out_of_memory/);
      if (isRead) while (!(await stream.read()).done) continue;
      else await stream.cancel();
      await expect.poll(() => answer(app, "b")).toBe("Yes");
      expect(statuses(models).slice(0, 2)).toEqual(["evicted", "ready"]);
    }
  });

  it("give way to a request that needs their memory, where it could not be had otherwise", async () => {
    const { app, models } = poolFor(2);
    await answer(app, "b");
    await answer(app, "a");
    expect(statuses(models).slice(0, 2)).toEqual(["ready", "ready"]);
    const long = await post(app, "a", QUESTIONS[1]!.repeat(6), { max_completion_tokens: 16 });
    expect(long.status).toBe(200);
    expect(statuses(models).slice(0, 2)).toEqual(["ready", "evicted"]);
  });

  it("answer what they answer alone, whatever came and went, within the limit at every moment", async () => {
    const alone = poolFor(4);
    const expected = new Map<string, string>();
    for (const question of QUESTIONS) expected.set(question, await answer(alone.app, "a", question));
    const { app, memory } = poolFor(2);
    const seen = { answered: 0, refused: 0 };
    for (let round = 0; round < 12; round++) {
      const asked = Array.from({ length: 5 }, (_, i) => [NAMES[(round * 7 + i * i) % 4]!, QUESTIONS[(round + i) % 3]!] as const);
      const answers = await Promise.all(asked.map(([name, question]) => answer(app, name, question)));
      answers.forEach((said, i) => {
        if (said.startsWith("503 out_of_memory")) seen.refused++;
        else {
          expect(said).toBe(expected.get(asked[i]![1]));
          seen.answered++;
        }
      });
      expect(memory.usedBytes).toBeLessThanOrEqual(memory.limitBytes);
      expect((memory.usedBytes - fixedBytes) % modelBytes, "whole models and no request").toBe(0);
    }
    expect(seen.answered).toBeGreaterThan(30);
  });

  it("give everything back when a load fails, at once or half-way, and remember what lasts", async () => {
    const broken: Loads = {
      b: ({ createBackend }) =>
        loadModel(folder, async (config, load) => {
          await createBackend(config, load);
          throw new Error("half-way");
        }),
    };
    const { app, memory, models } = poolFor(2, broken);
    await answer(app, "a");
    expect(await answer(app, "b")).toMatch(/^503 model_unavailable/);
    expect(memory.usedBytes).toBe(fixedBytes + modelBytes);
    expect(models.b.state().status).toBe("failed");
    expect(await answer(app, "a")).toBe("Yes");
  });

  it("say of a model that has no room even alone that it cannot be loaded", async () => {
    const { app, memory } = poolIn(sharedWasm({ module, limitBytes: fixedBytes + modelBytes / 2 }));
    expect(await answer(app, "a")).toMatch(/^503 model_unavailable/);
    expect(memory.usedBytes).toBe(fixedBytes);
  });

  it("are listed, ready and well while they are not in memory", async () => {
    const { app, loaded } = poolFor(1);
    const list = async (): Promise<string[]> =>
      ((await (await app.request("/v1/models")).json()) as { data: { id: string }[] }).data.map(({ id }) => id);
    expect(await list()).toEqual([...NAMES]);
    expect(loaded).toEqual([...NAMES]);
    expect(await list()).toEqual([...NAMES]);
    expect(loaded, "the list is known").toHaveLength(4);
    const ready = await app.request("/ready");
    expect(ready.status).toBe(200);
    expect(((await ready.json()) as { models: object[] }).models).toMatchObject([{ status: "evicted" }, {}, {}, { status: "ready" }]);
    expect(((await (await app.request("/v1/models/b")).json()) as { id: string }).id).toBe("b");
    expect(loaded.at(-1)).toBe("b");
  });

  it("lend themselves to code of a Worker's own; what is kept beyond refuses", async () => {
    const { app, models } = poolFor(1);
    const kept = await models.a({});
    const inside = await models.a.use({}, undefined, async (model) => {
      expect(await answer(app, "b")).toMatch(/^503 out_of_memory/);
      return model;
    });
    expect(inside).toBe(kept);
    await expect(models.a.use({}, undefined, () => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
    expect(await answer(app, "b")).toBe("Yes");
    const options = { capacity: 8, maxIterations: 1, cache: kept.card.cacheStrategy };
    expect(() => kept.backend.openSequence(options)).toThrow(expect.objectContaining({ code: "unavailable" }));
  });

  it("are refused by name where they are declared wrongly", () => {
    const memory = sharedWasm({ module, limitBytes: MIB });
    const load = ({ createBackend }: PoolLoad<object>): ReturnType<typeof loadModel> => loadModel(folder, createBackend);
    expect(() => modelPool([], load, memory)).toThrow("modelPool: what it was given must be a list of at least one name");
    expect(() => modelPool(["a", "a"], load, memory)).toThrow("names that differ");
    expect(() => modelPool(["a"], undefined as never, memory)).toThrow(TypeError);
    expect(() => modelPool(["a"], load, {} as never)).toThrow("workerMemory()");
  });
});

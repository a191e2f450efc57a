/**
 * Model folders behind a binding: streamed, checked, loaded once, tried again after a failure.
 */
import { describe, expect, it, vi } from "vitest";
import { loadModel, type Model } from "../../engine/port/model.ts";
import { assetsFolder, once, r2Folder, urlFolder } from "../../worker/model-source.ts";
import { createWorkerBackend } from "../../worker/wasm-backend.ts";
import { shardsOf } from "../engine/shards.ts";
import { app, ASSETS, chat, engineAnswer, LIAR, MODEL, nano, post } from "./support.ts";

const WEIGHTS = "model.safetensors";

/** The real assets, with the response for one file changed. */
function changed(file: string, change: (response: Response) => Response | Promise<Response>): Pick<Fetcher, "fetch"> {
  return {
    async fetch(input: RequestInfo | URL, init?: RequestInit) {
      const response = await ASSETS.fetch(input as string, init as RequestInit<RequestInitCfProperties>);
      return String(input).endsWith(`/${file}`) ? change(response) : response;
    },
  } as Pick<Fetcher, "fetch">;
}

/** A card as of a folder whose files nobody listed. */
async function withoutList(response: Response): Promise<Response> {
  const { files: _, ...card } = await response.json<{ files: unknown }>();
  return Response.json(card);
}

/** The body's first 100 bytes, then a failure. */
function brokenOff(response: Response, cause: Error): ReadableStream {
  const reader = response.body!.getReader();
  let sent = false;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      if (sent) return controller.error(cause);
      sent = true;
      controller.enqueue((await reader.read()).value!.slice(0, 100));
    },
    cancel: () => reader.cancel(),
  });
}

const load = (assets: Pick<Fetcher, "fetch">, name = MODEL): Promise<Model> => loadModel(assetsFolder(assets, name), createWorkerBackend);

describe("a folder beside another", () => {
  it("is found by the last part of the path that a card has, on the level of the folder itself", async () => {
    const asked: string[] = [];
    const bucket = { get: async (key: string) => (asked.push(key), null) };
    for (const base of ["decider", "../models/decider", "../decider/"])
      await r2Folder(bucket, "v2/mine").beside!(base)!.readText("card.json");
    await r2Folder(bucket, "mine").beside!("decider")!.readText("card.json");
    expect(asked).toEqual(["v2/decider/card.json", "v2/decider/card.json", "v2/decider/card.json", "decider/card.json"]);
    expect(urlFolder("https://a.test/models/mine/").beside!("../decider")!.name).toBe("https://a.test/models/decider");
  });

  it("has the files that a card without its own weights names as its base's", async () => {
    const card = { ...nano.card, exitRule: undefined, cacheStrategy: undefined, id: "mine", base: MODEL };
    const assets = {
      fetch: async (input: string, init?: RequestInit) =>
        input.endsWith("/mine/card.json") ? Response.json(card) : ASSETS.fetch(input, init as RequestInit<RequestInitCfProperties>),
    };
    const model = await load(assets as Pick<Fetcher, "fetch">, "mine");
    expect([model.card.id, model.config]).toEqual(["mine", nano.config]);
  });
});

describe("a folder of assets", () => {
  it("streams weights in pieces of 64 KiB, with nothing lost", async () => {
    const source = await assetsFolder(ASSETS, MODEL).open(WEIGHTS);
    const whole = new Uint8Array(await (await ASSETS.fetch(`https://assets.test/${MODEL}/${WEIGHTS}`)).arrayBuffer());
    expect(source!.bytes ?? whole.length, "where the assets say it").toBe(whole.length);
    let at = 0;
    for await (const chunk of source!.open()) {
      expect(chunk.length).toBeLessThanOrEqual(65536);
      if (at + 65536 <= whole.length) expect(chunk.length).toBe(65536);
      expect(chunk).toEqual(whole.subarray(at, at + chunk.length));
      at += chunk.length;
    }
    expect(at).toBe(whole.length);
  });

  for (const count of [2, 9])
    it(`loads a checkpoint of ${count} shards, and answers as from one file`, async () => {
      const whole = new Uint8Array(await (await ASSETS.fetch(`https://assets.test/${MODEL}/${WEIGHTS}`)).arrayBuffer());
      const files = shardsOf(whole, count);
      const assets = {
        fetch: async (input: RequestInfo | URL, init?: RequestInit) => {
          const file = String(input).split("/").at(-1)!;
          if (file === WEIGHTS) return new Response("none", { status: 404 });
          if (file === "card.json") return withoutList(await ASSETS.fetch(input as string));
          const content = files[file];
          return content === undefined
            ? ASSETS.fetch(input as string, init as RequestInit<RequestInitCfProperties>)
            : new Response(content, { headers: { "content-length": String(content.length) } });
        },
      } as Pick<Fetcher, "fetch">;
      const model = await load(assets);
      expect(await engineAnswer(model, LIAR)).toEqual(await engineAnswer(nano, LIAR));
    });

  it("refuses weights with one bit changed, by the card's digest", async () => {
    const damaged = changed(WEIGHTS, async (response) => {
      const bytes = new Uint8Array(await response.arrayBuffer());
      bytes[400_000]! ^= 1;
      return new Response(bytes);
    });
    await expect(load(damaged)).rejects.toMatchObject({
      code: "invalid_checkpoint",
      param: WEIGHTS,
      message: expect.stringMatching(/^nano\/model.safetensors has SHA-256 [0-9a-f]{64}, but card.json lists [0-9a-f]{64}; it is damaged/),
    });
  });

  it("refuses a template with one letter changed, and to go on without it", async () => {
    const other = changed("chat_template.jinja", async (response) => new Response((await response.text()).replace("e", "E")));
    await expect(load(other)).rejects.toMatchObject({ code: "invalid_tokenizer", param: "chat_template.jinja" });
    let missing = true;
    const once404 = changed("chat_template.jinja", (response) => (missing ? new Response("", { status: 404 }) : response));
    await expect(load(once404)).rejects.toMatchObject({ code: "invalid_tokenizer", param: "chat_template.jinja", isTransient: true });
    missing = false;
    const model = await load(once404);
    expect(await engineAnswer(model, LIAR)).toEqual(await engineAnswer(nano, LIAR));
  });

  it("does not take a quantised model whose card is missing under another name", async () => {
    const nameless = changed("card.json", () => new Response("", { status: 404 }));
    await expect(load(nameless)).rejects.toMatchObject({ code: "invalid_card", param: "card.json", isTransient: true });
  });

  it("loads a folder without digests, and says so once", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const unlisted = changed("card.json", withoutList);
    const renamed = { fetch: (input: string, init?: RequestInit) => unlisted.fetch(input.replace("/unlisted/", `/${MODEL}/`), init) };
    for (let i = 0; i < 2; i++) await load(renamed as Pick<Fetcher, "fetch">, "unlisted");
    const told = warn.mock.calls.flat();
    warn.mockRestore();
    expect(told).toEqual([expect.stringMatching(/^unlisted: the files are not checked for damage/)]);
  });

  it("says which file is missing", async () => {
    await expect(load(ASSETS, "nothing")).rejects.toMatchObject({ code: "invalid_config", param: "config.json" });
    expect(await assetsFolder(ASSETS, MODEL).open("nothing.safetensors")).toBeUndefined();
  });

  it("refuses weights that end early, whether or not their length was announced", async () => {
    for (const announced of [true, false]) {
      const truncated = changed(WEIGHTS, async (response) => {
        const bytes = (await response.arrayBuffer()).slice(0, 100_000);
        return new Response(bytes, announced ? {} : { headers: { "content-encoding": "identity" }, encodeBody: "manual" });
      });
      await expect(load(truncated)).rejects.toMatchObject({ code: "invalid_checkpoint" });
    }
  });

  it("tells a server that fails from a file that is not there, and what may pass from what stays", async () => {
    for (const [status, isTransient] of [
      [500, true],
      [503, true],
      [429, true],
      [403, false],
    ] as const) {
      const failing = changed("card.json", () => new Response("no", { status }));
      await expect(load(failing), String(status)).rejects.toMatchObject({ code: "unavailable", param: "card.json", isTransient });
    }
  });

  it("says that a body broke off or ended before its announced length, and that this may pass", async () => {
    for (const file of ["config.json", WEIGHTS]) {
      const cause = new Error("connection lost");
      const broken = changed(file, (response) => new Response(brokenOff(response, cause), { headers: { "content-type": "x" } }));
      await expect(load(broken), file).rejects.toMatchObject({ code: "unavailable", param: file, isTransient: true, cause });
      const short = changed(file, async (response) => {
        const bytes = await response.arrayBuffer();
        return new Response(bytes.slice(0, 100), { headers: { "content-length": String(bytes.byteLength) } });
      });
      await expect(load(short), file).rejects.toMatchObject({ code: "unavailable", param: file, isTransient: true });
    }
  });

  it("says that the assets do not answer, and keeps the cause", async () => {
    const cause = new TypeError("network");
    const dead = { fetch: () => Promise.reject(cause) } as unknown as Fetcher;
    await expect(load(dead)).rejects.toMatchObject({ code: "unavailable", isTransient: true, cause });
  });

  it("stops reading when it is told to", async () => {
    const stop = new AbortController();
    const source = await assetsFolder(ASSETS, MODEL, { signal: stop.signal }).open(WEIGHTS);
    const chunks = source!.open()[Symbol.asyncIterator]();
    await chunks.next();
    stop.abort();
    await expect(assetsFolder(ASSETS, MODEL, { signal: stop.signal }).readText("config.json")).rejects.toThrow();
    await chunks.return!(undefined);
  });
});

describe("a model that is loaded once", () => {
  it("is loaded by the first of many requests, for all of them", async () => {
    const loading = vi.fn(() => load(ASSETS));
    const call = app({ model: once(loading) });
    const responses = await Promise.all(Array.from({ length: 5 }, () => post(call, "/v1/chat/completions", chat())));
    expect(responses.map((r) => r.status)).toEqual([200, 200, 200, 200, 200]);
    expect(loading).toHaveBeenCalledTimes(1);
  });
});
